//! Rust's tokens, without comments and without what literals contain.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or keyword; a raw identifier without its `r#`.
    Word,
    Number,
    /// A string, byte string, C string or character; its text is not kept.
    Literal,
    Lifetime,
    /// One character of punctuation, or `::`.
    Mark,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) line: usize,
}

/// Rust's tokens without comments. Written for sources that compile: it never fails, whatever it is given.
pub(super) fn scan(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_start = |c: char| c.is_alphabetic() || c == '_';
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens: Vec<Token> = Vec::new();
    let mut line = 1;
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let first_line = line;
        let c = at(i);
        let kind = if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
            None
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            while i < chars.len() {
                if at(i) == '/' && at(i + 1) == '*' {
                    depth += 1;
                    i += 2;
                } else if at(i) == '*' && at(i + 1) == '/' {
                    depth -= 1;
                    i += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    i += 1;
                }
            }
            None
        } else if let Some(end) = end_of_raw_string(&chars, i) {
            i = end;
            Some(Kind::Literal)
        } else if c == '"' || (matches!(c, 'b' | 'c') && at(i + 1) == '"') {
            i = end_of_quoted(&chars, i + usize::from(c != '"'), '"');
            Some(Kind::Literal)
        } else if c == 'b' && at(i + 1) == '\'' {
            i = end_of_quoted(&chars, i + 1, '\'');
            Some(Kind::Literal)
        } else if c == '\'' {
            // A lifetime is a quote and a word with no quote after it; 'a' is a character.
            if at(i + 1) != '\\' && at(i + 2) != '\'' && is_start(at(i + 1)) {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
                Some(Kind::Lifetime)
            } else {
                i = end_of_quoted(&chars, i, '\'');
                Some(Kind::Literal)
            }
        } else if is_start(c) {
            if c == 'r' && at(i + 1) == '#' && is_start(at(i + 2)) {
                i += 2;
            }
            while is_word(at(i)) {
                i += 1;
            }
            Some(Kind::Word)
        } else if c.is_ascii_digit() {
            while is_word(at(i)) {
                i += 1;
            }
            // `1.5` is one number; in `pair.0.1`, `0..9` and `1.max(2)` the point is none of it.
            let after_point = tokens.last().is_some_and(|token| token.text == ".");
            if !after_point && at(i) == '.' && at(i + 1) != '.' && !is_start(at(i + 1)) {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
            }
            // The sign of an exponent: `1e-9`.
            let text: String = chars[start..i].iter().collect();
            let exponent = !text.starts_with("0x") && text.ends_with(['e', 'E']);
            if exponent && matches!(at(i), '+' | '-') {
                i += 1;
                while is_word(at(i)) {
                    i += 1;
                }
            }
            Some(Kind::Number)
        } else if c == ':' && at(i + 1) == ':' {
            i += 2;
            Some(Kind::Mark)
        } else {
            i += 1;
            (!c.is_whitespace()).then_some(Kind::Mark)
        };
        let i_end = i.min(chars.len());
        line += chars[start..i_end].iter().filter(|c| **c == '\n').count();
        if let Some(kind) = kind {
            let text: String = match kind {
                Kind::Literal => String::new(),
                _ => chars[start..i_end].iter().collect(),
            };
            let text = match kind {
                Kind::Word => text.strip_prefix("r#").map(str::to_owned).unwrap_or(text),
                _ => text,
            };
            tokens.push(Token { kind, text, line: first_line });
        }
    }
    tokens
}

/// Where a raw string that begins at `i` ends, if one does: `r"…"`, `r#"…"#`, and the same with `br` and `cr`.
pub(super) fn end_of_raw_string(chars: &[char], i: usize) -> Option<usize> {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut j = i + usize::from(matches!(at(i), 'b' | 'c'));
    if at(j) != 'r' {
        return None;
    }
    j += 1;
    let hashes = (j..chars.len()).take_while(|k| chars[*k] == '#').count();
    j += hashes;
    if at(j) != '"' {
        return None;
    }
    j += 1;
    while j < chars.len() {
        if at(j) == '"' && (1..=hashes).all(|k| at(j + k) == '#') {
            return Some(j + 1 + hashes);
        }
        j += 1;
    }
    Some(chars.len())
}

/// The end of what is quoted from `open` on, where a backslash escapes.
pub(super) fn end_of_quoted(chars: &[char], open: usize, quote: char) -> usize {
    let mut i = open + 1;
    while i < chars.len() {
        if chars[i] == '\\' {
            i += 2;
        } else if chars[i] == quote {
            return i + 1;
        } else {
            i += 1;
        }
    }
    chars.len()
}

fn texts(source: &str) -> Vec<String> {
    scan(source).into_iter().map(|token| if token.kind == Kind::Literal { "«»".into() } else { token.text }).collect()
}

#[test]
fn the_scanner_leaves_comments_out() {
    assert_eq!(texts("a // b\nc"), ["a", "c"]);
    assert_eq!(texts("a /* b /* c */ d */ e"), ["a", "e"]);
    assert_eq!(texts("/// doc `x.unwrap()`\n//! more\n/** b */ a"), ["a"]);
    assert_eq!(texts("a / b /* \" */ c // '\nd"), ["a", "/", "b", "c", "d"]);
    assert_eq!(texts("/* never closed"), Vec::<String>::new());
}

#[test]
fn the_scanner_leaves_literals_empty() {
    assert_eq!(texts(r#"f("a // b", "\"c\\") d"#), ["f", "(", "«»", ",", "«»", ")", "d"]);
    assert_eq!(texts("r\"a\\\" b r#\"c \" d\"# e br##\"\"#\"## f"), ["«»", "b", "«»", "e", "«»", "f"]);
    assert_eq!(texts("b\"x\" c\"y\" b'z' cr#\"\"# rb"), ["«»", "«»", "«»", "«»", "rb"]);
    assert_eq!(texts("'a' '\\'' '\"' '\\u{1F600}' '{' '/' ' '"), ["«»"; 7]);
    assert_eq!(texts("\"/*\" a \"*/\""), ["«»", "a", "«»"]);
    assert_eq!(texts("\"never closed"), ["«»"]);
    assert_eq!(texts("\"ends in a backslash\\"), ["«»"]);
}

#[test]
fn the_scanner_tells_lifetimes_from_characters() {
    assert_eq!(texts("&'a str 'static 'x' <'_>"), ["&", "'a", "str", "'static", "«»", "<", "'_", ">"]);
    assert_eq!(texts("'outer: loop { break 'outer }"), ["'outer", ":", "loop", "{", "break", "'outer", "}"]);
}

#[test]
fn the_scanner_knows_numbers_and_raw_words() {
    assert_eq!(
        texts("1.5 1. 0..9 1.max a.0.1 1_000u64 0xE-1 1e-9"),
        [
            "1.5", "1.", "0", ".", ".", "9", "1", ".", "max", "a", ".", "0", ".", "1", "1_000u64", "0xE", "-", "1",
            "1e-9"
        ]
    );
    assert_eq!(texts("r#type r#fn::x"), ["type", "fn", "::", "x"]);
}

#[test]
fn the_scanner_counts_lines() {
    let lines: Vec<_> = scan("a\n/* \n */ b \"\n\n\" c\n// d\ne").into_iter().map(|token| token.line).collect();
    assert_eq!(lines, [1, 3, 3, 5, 7]);
}
