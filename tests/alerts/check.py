"""Holds the alarms and the dashboards of deploy/ against their tests, the runbook, the limits of the server, and the figures of a real one.

usage: check.py rules                  each alarm has its texts, its place in the runbook, a test in which it fires and is silent, and its limit
       check.py series FILE [TARGET]   each series that a rule or a dashboard asks for is among the figures in FILE
       check.py boards DIRECTORY       the dashboards are whole; writes their queries as rules to DIRECTORY/boards.rules.yml, for promtool
       check.py faster FACTOR FILE     writes the rules to FILE with every span of time so many times as short
       check.py mutations              breaks each alarm, so that it never fires and that it always does: promtool's tests must see it

Run by scripts/alerts-test and scripts/drill. Needs PyYAML (Debian: python3-yaml).
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "deploy/prometheus/haat.rules.yml"
TESTS = ROOT / "deploy/prometheus/tests"
BOARDS = ROOT / "deploy/grafana"
README = ROOT / "README.md"
RUNBOOK = ROOT / "docs/operations.md"
SEVERITIES = {"critical", "warning", "info"}
# What Prometheus itself makes of every target.
OF_PROMETHEUS = {"up"}

# The thresholds that are a part of a limit: which one (src/limits.rs), what part of it, and how it stands in the rule.
LIMITS = {
    "HaatClockAhead": ("TOKEN_SKEW_SECONDS", 1, "> 10"),
    "HaatMailboxDeep": ("MAILBOX_DEPTH", 1 / 2, "> 5000"),
    "HaatRequestsParked": ("REQUESTS_WAITING", 1 / 2, "> 25000"),
    "HaatCommitsSlow": ("COMMIT_PATIENCE_MS", 1 / 4 / 1000, "> 0.5"),
    "HaatBacklogHigh": ("RECORDS_IN_FLIGHT", 1 / 2, "> 25000"),
    "HaatCheckpointBehind": ("RECORDS_SINCE_CHECKPOINT", 1 / 2, "> 500000"),
    "HaatCheckpointNearLimit": ("RECORDS_SINCE_CHECKPOINT", 4 / 5, "> 800000"),
}

wrong = []


def complain(what):
    wrong.append(what)


def alerts():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


# ---- PromQL ------------------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"""\s+|(?P<comment>\#.*)|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)|(?P<span>\d+(?:ms|[smhdwy])(?:\d+(?:ms|[smhdwy]))*)"""
    r"""|(?P<number>\d[\d.]*(?:e[+-]?\d+)?)|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){}\[\],<>=:@])"""
)
# Words after which labels stand in brackets, and words between two expressions.
LABELS_FOLLOW = {"by", "without", "on", "ignoring", "group_left", "group_right"}
WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "start", "end"}


def tokens(query):
    at, found = 0, []
    while at < len(query):
        token = TOKEN.match(query, at)
        if not token:
            raise ValueError(f"not read: {query[at:]}")
        if token.lastgroup and token.lastgroup != "comment":
            found.append((token.lastgroup, token.group()))
        at = token.end()
    return found


def selectors(query):
    """Every selector of a query: a name, and its matchers as (label, operator, value). promtool says whether it is PromQL at all."""
    found, stream = [], tokens(query)
    at = 0
    while at < len(stream):
        kind, text = stream[at]
        following = stream[at + 1][1] if at + 1 < len(stream) else ""
        at += 1
        if kind != "name" or text.lower() in WORDS:
            continue
        if text.lower() in LABELS_FOLLOW:
            if following == "(":
                while stream[at][1] != ")":
                    at += 1
            continue
        # An aggregation may have its labels before its argument.
        if following == "(" or following.lower() in ("by", "without"):
            continue
        matchers = []
        if following == "{":
            at += 1
            while stream[at][1] != "}":
                if stream[at][1] == ",":
                    at += 1
                    continue
                (_, label), (_, operator), (_, value) = stream[at : at + 3]
                matchers.append((label, operator, json.loads(value) if value[0] == '"' else value[1:-1]))
                at += 3
            at += 1
        found.append((text, matchers))
    return found


def matches(labels, matchers):
    for label, operator, value in matchers:
        own = labels.get(label, "")
        is_it = own == value if operator in ("=", "!=") else re.fullmatch(value, own) is not None
        if is_it != (operator in ("=", "=~")):
            return False
    return True


SERIES = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})?(?:\s+\S+)*$")


def series(line):
    """The name and the labels of a line of figures, or of a series of a test."""
    name, labels = SERIES.match(line.strip()).groups()
    pairs = re.findall(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"', labels or "")
    return name, {label: json.loads(f'"{value}"') for label, value in pairs}


# ---- Rules -------------------------------------------------------------------------------------------------------------


def anchor(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def limits():
    text = (ROOT / "src/limits.rs").read_text()
    return {name: int(value.replace("_", "")) for name, value in re.findall(r"pub const (\w+): \w+ = ([\d_]+);", text)}


def check_rules():
    rules, named = alerts(), set()
    headings = {anchor(line.lstrip("#")) for line in RUNBOOK.read_text().splitlines() if line.startswith("#")}
    for rule in rules:
        name = rule.get("alert") or f"a rule without a name: {rule}"
        if name in named:
            complain(f"{name}: there are two of it")
        named.add(name)
        if rule.get("labels", {}).get("severity") not in SEVERITIES:
            complain(f"{name}: its severity is none of {', '.join(sorted(SEVERITIES))}")
        notes = rule.get("annotations", {})
        for note in ("summary", "description", "runbook"):
            if not str(notes.get(note, "")).strip():
                complain(f"{name}: it has no {note}")
        if str(notes.get("runbook")) != f"docs/operations.md#{anchor(name)}":
            complain(f"{name}: its runbook is {notes.get('runbook')}, not docs/operations.md#{anchor(name)}")
        if anchor(name) not in headings:
            complain(f"{name}: docs/operations.md has no heading of that name")
    for heading in re.findall(r"^#+ (Haat[A-Z]\w+)$", RUNBOOK.read_text(), re.M):
        if heading not in named:
            complain(f"docs/operations.md speaks of {heading}, which is no alarm")
    check_readme({name for rule in rules for name, _ in selectors(rule["expr"])})
    check_limits({rule["alert"]: rule["expr"] for rule in rules})
    check_tests(named)
    check_clean(rules)
    return f"{len(named)} alarms"


def check_readme(asked):
    """What the README calls worth an alarm has one."""
    table = README.read_text().split("### Metrics worth an alarm")[1].split("\n###")[0]
    worth = {name for row in table.splitlines() if row.startswith("| `") for name in re.findall(r"`(haat_\w+)", row.split("|")[1])}
    if len(worth) < 30:
        complain(f"the README's table is not read right: {sorted(worth)}")
    for name in sorted(worth):
        if not asked & {name, f"{name}_bucket"}:
            complain(f"{name}: the README calls it worth an alarm, and no rule asks for it")


def check_limits(queries):
    known = limits()
    for name, (limit, part, threshold) in LIMITS.items():
        if name not in queries:
            complain(f"{name}: it has a limit, and is no alarm")
        elif limit not in known:
            complain(f"{name}: src/limits.rs has no {limit}")
        elif not re.search(re.escape(threshold) + r"(?![\d.])", queries[name]):
            complain(f"{name}: its threshold is not '{threshold}'")
        elif float(threshold.split()[1]) != known[limit] * part:
            complain(f"{name}: '{threshold}' is not {part:g} of {limit}, which is {known[limit]}")


def check_tests(named):
    """Each alarm has a test of its own name, in which it fires at one moment and nothing does at an earlier one."""
    fires, silent = set(), set()
    for file in sorted(TESTS.glob("*.yml")):
        tests = yaml.safe_load(file.read_text())
        if tests.get("rule_files") != ["../haat.rules.yml"]:
            complain(f"{file.name}: it does not test haat.rules.yml")
        for test in tests["tests"]:
            name, quiet = test.get("name"), False
            if name not in named and file.name != "clean.yml":
                complain(f"{file.name}: a test of {name}, which is no alarm")
            for look in test["promql_expr_test"]:
                if 'ALERTS{alertstate="firing"}' not in look["expr"]:
                    continue
                firing = [re.search(r'alertname="(\w+)"', sample["labels"]).group(1) for sample in look["exp_samples"]]
                quiet = quiet or not firing
                if name in firing:
                    fires.add(name)
                    if quiet:
                        silent.add(name)
    for name in sorted(named - fires):
        complain(f"{name}: no test of its name in which it fires")
    for name in sorted(named - silent):
        complain(f"{name}: no test in which nothing fires before it does")


def check_clean(rules):
    """The clean rush has a series for all that the rules look at: an alarm is not silent for want of one."""
    (test,) = yaml.safe_load((TESTS / "clean.yml").read_text())["tests"]
    there = [series(one["series"]) for one in test["input_series"]]
    if not all(look["exp_samples"] == [] and "ALERTS" in look["expr"] for look in test["promql_expr_test"]):
        complain("clean.yml: something is to fire")
    for rule in rules:
        for name, matchers in selectors(rule["expr"]):
            if not any(name == its and matches(labels, matchers) for its, labels in there):
                complain(f"clean.yml: no series for {rule['alert']}: {name} {matchers}")


# ---- Dashboards --------------------------------------------------------------------------------------------------------


def panels(board):
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries(board):
    """Every query of a dashboard, with where it stands, its variables filled in as Grafana would."""
    for panel in panels(board):
        for target in panel.get("targets", []):
            yield panel["title"], filled(target["expr"])
    for variable in board["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.+), *\w+\)", variable.get("definition", ""))
        if variable["type"] == "query":
            if not found:
                complain(f"{board['uid']}: the variable {variable['name']} is not made by label_values")
            else:
                yield f"variable {variable['name']}", filled(found.group(1))


def filled(query):
    query = query.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$__interval", "15s")
    return re.sub(r"\$\{?\w+\}?", ".*", query)


def boards():
    return [(file, json.loads(file.read_text())) for file in sorted(BOARDS.glob("*.json"))]


def check_boards(directory):
    uids, rules = set(), []
    for file, board in boards():
        uid = board["uid"]
        if uid in uids:
            complain(f"{file.name}: its uid is another's, too")
        uids.add(uid)
        if board["schemaVersion"] < 38 or board.get("id") is not None:
            complain(f"{file.name}: not a dashboard to be imported")
        variables = {variable["name"]: variable for variable in board["templating"]["list"]}
        if variables.get("datasource", {}).get("type") != "datasource":
            complain(f"{file.name}: its data source is no variable")
        ids, titles = set(), set()
        for panel in panels(board):
            if panel["id"] in ids or panel["title"] in titles:
                complain(f"{file.name}: two panels of one id or title: {panel['title']}")
            ids.add(panel["id"])
            titles.add(panel["title"])
            if panel["type"] == "row":
                continue
            for source in [panel["datasource"]] + [target["datasource"] for target in panel["targets"]]:
                if source != {"type": "prometheus", "uid": "${datasource}"}:
                    complain(f"{file.name}: {panel['title']} has a data source of its own")
            if not panel["targets"] or not panel.get("description"):
                complain(f"{file.name}: {panel['title']} has no query, or no description")
            if any(variable not in variables for target in panel["targets"] for variable in used(target["expr"])):
                complain(f"{file.name}: {panel['title']} uses a variable that is not there")
        for title, query in queries(board):
            rules.append({"record": f"board:{len(rules)}", "expr": query, "labels": {"board": file.name, "panel": title}})
    if not rules:
        complain("no dashboards")
    text = yaml.safe_dump({"groups": [{"name": "boards", "rules": rules}]}, sort_keys=False)
    pathlib.Path(directory, "boards.rules.yml").write_text(text)
    return f"{len(uids)} dashboards, {len(rules)} queries"


def used(query):
    return [name for name in re.findall(r"\$\{?(\w+)\}?", query) if not name.startswith("__")]


# ---- The figures of a server -------------------------------------------------------------------------------------------


def check_series(file, target="127.0.0.1:9180"):
    lines = [line for line in pathlib.Path(file).read_text().splitlines() if line and not line.startswith("#")]
    # Prometheus adds these two to whatever it reads.
    there = {}
    for name, labels in map(series, lines):
        there.setdefault(name, []).append(labels | {"job": "haat", "instance": target})
    asked = [(rule["alert"], rule["expr"]) for rule in alerts()]
    asked += [(f"{file.name}, {title}", query) for file, board in boards() for title, query in queries(board)]
    count = 0
    for where, query in asked:
        found = selectors(query)
        if not found:
            complain(f"{where}: it asks for no series: {query}")
        for name, matchers in found:
            count += 1
            if name in OF_PROMETHEUS:
                continue
            if not any(matches(labels, matchers) for labels in there.get(name, [])):
                complain(f"{where}: a server that has just begun has no {name} {matchers}")
    return f"{count} selectors, {len(lines)} series"


# ---- Faster ------------------------------------------------------------------------------------------------------------

MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def shorter(span, factor):
    total = sum(int(count) * MS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhd])", span))
    return f"{max(total // factor, 1)}ms"


def faster(factor, file):
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            spans = [(text, shorter(text, factor)) for kind, text in tokens(rule["expr"]) if kind == "span"]
            for span, short in sorted(set(spans), key=lambda pair: -len(pair[0])):
                rule["expr"] = re.sub(rf"(?<![\w.]){span}(?!\w)", short, rule["expr"])
            if "for" in rule:
                rule["for"] = shorter(rule["for"], factor)
    pathlib.Path(file).write_text(yaml.safe_dump(rules, sort_keys=False))
    return f"{factor} times as fast"


# ---- Mutations ---------------------------------------------------------------------------------------------------------


def check_mutations():
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(TESTS, f"{place}/tests")
        tests = {file: file.read_text() for file in sorted(pathlib.Path(place, "tests").glob("*.yml"))}

        def passes(rules, name):
            pathlib.Path(place, RULES.name).write_text(yaml.safe_dump(rules, sort_keys=False))
            files = [file for file, text in tests.items() if re.search(rf"name: {name}$", text, re.M)]
            return subprocess.run(["promtool", "test", "rules", *files], capture_output=True, check=False).returncode == 0

        for rule in alerts():
            if not passes(yaml.safe_load(RULES.read_text()), rule["alert"]):
                complain(f"{rule['alert']}: its tests fail as they are")
            for how, query in (("never", "vector(1) > 2"), ("always", f"({rule['expr']}) or vector(1)")):
                broken = yaml.safe_load(RULES.read_text())
                for group in broken["groups"]:
                    for one in group["rules"]:
                        if one["alert"] == rule["alert"]:
                            one["expr"] = query
                if passes(broken, rule["alert"]):
                    complain(f"{rule['alert']}: nobody sees that it {how} fires")
    return f"{2 * len(alerts())} mutations"


def main(command, *arguments):
    if command == "rules":
        return check_rules()
    if command == "series":
        return check_series(*arguments)
    if command == "boards":
        return check_boards(*arguments)
    if command == "faster":
        return faster(int(arguments[0]), arguments[1])
    if command == "mutations":
        return check_mutations()
    sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    said = main(*sys.argv[1:])
    for what in wrong:
        print(what, file=sys.stderr)
    if wrong:
        sys.exit(1)
    print(said)
