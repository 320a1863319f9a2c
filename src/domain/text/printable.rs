//! Characters that act instead of being seen: controls, orders of direction, what has no width. Whoever prints a text
//! that came from outside prints them as what they are. This file knows nothing of the house: the load tester has it,
//! too.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character acts on whoever shows it, or cannot be seen. All but letters' own joiners and the signs that
/// choose between two forms of the one before: [`is_joiner`], [`is_selector`].
pub fn acts(character: char) -> bool {
    // ASCII first: nearly all texts are.
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    !is_joiner(character)
        && !is_selector(character)
        && (character.is_control() || is_ignorable(character) || is_break(character) || is_no_character(character))
}

/// U+200C and U+200D, with which Indic and Arabic scripts are written, and pictures put together.
pub fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200c}' | '\u{200d}')
}

/// Which form of the sign before is meant, a picture or a letter.
pub fn is_selector(character: char) -> bool {
    matches!(character, '\u{fe00}'..='\u{fe0f}')
}

/// `Default_Ignorable_Code_Point` of Unicode 17.0 (DerivedCoreProperties.txt): what is not to be seen where it is not
/// understood.
pub fn is_ignorable(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Ends of lines and paragraphs beside those of ASCII, and notes between lines.
fn is_break(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// Code points that are no characters and never will be.
fn is_no_character(character: char) -> bool {
    matches!(character, '\u{fdd0}'..='\u{fdef}') || u32::from(character) & 0xfffe == 0xfffe
}

/// The text, with what acts written as JSON would have it (`\u202e`); so a line of JSON stays one. The ends of lines,
/// too: this is for texts within a line.
pub fn printable(text: &str) -> Cow<'_, str> {
    printable_but(text, |_| false)
}

/// [`printable`] for a text of several lines, which stay so.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    printable_but(text, |character| character == '\n')
}

fn printable_but(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_written_out = |character: char| acts(character) && !stays(character);
    if !text.chars().any(is_written_out) {
        return Cow::Borrowed(text);
    }
    let mut printable = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_written_out(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // To a string nothing fails.
                let _ = write!(printable, "\\u{unit:04x}");
            }
        } else {
            printable.push(character);
        }
    }
    Cow::Owned(printable)
}
