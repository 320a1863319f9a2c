//! What the tokens mean: which paths they name.

use super::scanner::{Kind, Token};

/// Keywords that a path may follow.
const BEFORE_A_PATH: &[&str] = &[
    "as", "break", "dyn", "else", "for", "if", "impl", "in", "match", "move", "mut", "ref", "return", "use", "where",
    "while",
];

/// The token that closes the bracket at `open`, or the last one.
pub(super) fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return i;
                }
            }
            _ => {}
        }
    }
    tokens.len().saturating_sub(1)
}

pub(super) fn is(tokens: &[Token], i: usize, text: &str) -> bool {
    tokens.get(i).is_some_and(|token| token.kind != Kind::Literal && token.text == text)
}

pub(super) fn is_word(tokens: &[Token], i: usize) -> bool {
    tokens.get(i).is_some_and(|token| token.kind == Kind::Word)
}

/// A path as far as the rules need it: its root and what follows directly. `crate::{a::b, c}` gives two.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) root: String,
    /// None for the root alone, as in `use tokio;`.
    pub(super) next: Option<String>,
    /// The call of a macro: `crate::name!`.
    pub(super) is_macro: bool,
    pub(super) line: usize,
}

/// Whether the word at `i` goes on from what is before it: a later segment of a path, a field or a method. The `::` of
/// `use ::tokio` and of `-> ::tokio::X` begins a path.
pub(super) fn continues_chain(tokens: &[Token], i: usize) -> bool {
    if i >= 2 && is(tokens, i - 1, "::") {
        let before = tokens[i - 2].text.as_str();
        let arrow = i >= 3 && (is(tokens, i - 3, "-") || is(tokens, i - 3, "="));
        return (is_word(tokens, i - 2) && !BEFORE_A_PATH.contains(&before)) || (before == ">" && !arrow);
    }
    i >= 1 && is(tokens, i - 1, ".") && !(i >= 2 && is(tokens, i - 2, "."))
}

/// Every path in the tokens. `super::` that climbs to the crate's root, counting from `module_depth`, becomes `crate`.
pub(super) fn paths(tokens: &[Token], module_depth: usize) -> Vec<Reached> {
    let mut found = Vec::new();
    // Where inline modules that we are in end.
    let mut inline: Vec<usize> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        while inline.last().is_some_and(|end| *end < i) {
            inline.pop();
        }
        if is(tokens, i, "mod") && is_word(tokens, i + 1) && is(tokens, i + 2, "{") {
            inline.push(closing(tokens, i + 2));
            i += 3;
            continue;
        }
        if !is_word(tokens, i) || continues_chain(tokens, i) {
            i += 1;
            continue;
        }
        let line = tokens[i].line;
        let mut root = tokens[i].text.clone();
        if BEFORE_A_PATH.contains(&root.as_str()) {
            i += 1;
            continue;
        }
        let mut next = i + 1;
        if root == "super" || (root == "self" && is(tokens, next, "::") && is(tokens, next + 1, "super")) {
            let mut climbed = usize::from(root == "super");
            while is(tokens, next, "::") && is(tokens, next + 1, "super") {
                climbed += 1;
                next += 2;
            }
            if climbed < module_depth + inline.len() {
                i = next;
                continue;
            }
            root = "crate".to_owned();
        }
        if is(tokens, next, "::") && is(tokens, next + 1, "{") {
            let end = closing(tokens, next + 1);
            let mut j = next + 2;
            let mut at_start = true;
            while j < end {
                match tokens[j].text.as_str() {
                    "," => at_start = true,
                    "{" => j = closing(tokens, j),
                    text if at_start && text != "self" => {
                        let (text, line) = (text.to_owned(), tokens[j].line);
                        found.push(Reached { root: root.clone(), next: Some(text), is_macro: false, line });
                        at_start = false;
                    }
                    _ => {}
                }
                j += 1;
            }
            if end == next + 2 {
                found.push(Reached { root, next: None, is_macro: false, line });
            }
            i = end + 1;
        } else if is(tokens, next, "::") && next + 1 < tokens.len() {
            let text = tokens[next + 1].text.clone();
            let is_macro = is(tokens, next + 2, "!");
            found.push(Reached { root, next: Some(text), is_macro, line });
            i = next + 2;
        } else {
            // A word of its own is a path only where something is imported: `use tokio;`, `use haat as h;`, `use {tokio, …}`.
            let imported = i >= 1
                && (is(tokens, i - 1, "use") || is(tokens, i - 1, "crate") && is(tokens, i.wrapping_sub(2), "extern"));
            let ends = is(tokens, next, ";") || is(tokens, next, "as");
            if imported && ends {
                found.push(Reached { root, next: None, is_macro: false, line });
            }
            i += 1;
        }
    }
    found
}
