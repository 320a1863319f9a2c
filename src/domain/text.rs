//! Texts: the one form in which they are kept and compared, and what in them can be seen.

mod printable;
pub mod words;

pub use printable::{acts, is_joiner, is_selector, printable, printable_lines};

use std::borrow::Cow;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The text in Unicode's composed form (NFC, UAX #15): what looks the same and means the same is the same.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.nfc().collect())
}

/// [`composed`], in place.
pub fn compose(text: &mut String) {
    if let Cow::Owned(composed) = composed(text) {
        *text = composed;
    }
}

/// By this two codes are compared: composed, and without the blanks around. Upper and lower case are different codes.
pub fn code_key(code: &str) -> String {
    composed(code).trim_matches(is_blank).to_owned()
}

/// Whether nothing is seen of a character: blanks of all scripts and what has no width.
pub fn is_blank(character: char) -> bool {
    match character.is_ascii() {
        true => character == ' ' || character.is_ascii_control(),
        // The empty pattern of Braille and the note without a head look as blanks do, and are none by their properties.
        false => {
            character.is_whitespace()
                || acts(character)
                || is_joiner(character)
                || is_selector(character)
                || matches!(character, '\u{2800}' | '\u{1d159}')
        }
    }
}

/// Whether there is something to see: a letter, a digit or a sign. Marks need one that they stand on.
pub fn is_visible(text: &str) -> bool {
    text.chars().any(|character| !is_blank(character) && !is_mark(character))
}

fn group(character: char) -> GeneralCategoryGroup {
    character.general_category_group()
}

fn is_mark(character: char) -> bool {
    !character.is_ascii() && group(character) == GeneralCategoryGroup::Mark
}

/// Letters and marks of the scripts that are written with joiners: of the Near East, of India and South East Asia, of
/// Mongolia and some of Africa.
fn is_joined_script(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1900}'..='\u{1cff}' | '\u{a800}'..='\u{abff}'
        | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}')
        && matches!(group(character), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Mark)
}

/// Letters of the scripts that run from right to left.
fn runs_left(character: char) -> bool {
    matches!(character,
        '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
        && group(character) == GeneralCategoryGroup::Letter
}

/// Chinese characters, of which some have several forms.
fn is_han(character: char) -> bool {
    matches!(character, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3fffd}')
}

/// Scripts that are written without blanks, where a break without width says where a word ends.
fn is_unspaced_script(character: char) -> bool {
    matches!(character, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{1950}'..='\u{1aaf}' | '\u{aa60}'..='\u{aadf}')
}

fn is_picture(character: char) -> bool {
    matches!(character, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}' | '\u{a9}' | '\u{ae}' | '\u{2122}' | '\u{2139}')
}

/// What may stand in a text, by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// A name, a title, a line of an address.
    Line,
    /// A description or a reason, which may have several lines, tabs, and hyphens that show where a line ends.
    Lines,
    /// What is compared and typed, not read: a code, an address of e-mail. No joiners, no selectors, nothing that
    /// cannot be seen.
    Code,
}

/// The first character that has no meaning where it stands.
pub fn misplaced(text: &str, kind: TextKind) -> Option<char> {
    if text.is_ascii() {
        return text.chars().find(|character| acts(*character) && !is_layout(*character, kind));
    }
    let has_rtl = || text.chars().any(runs_left);
    let mut characters = text.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(character) = characters.next() {
        let after = characters.peek().copied();
        let fits = match character {
            _ if is_layout(character, kind) => true,
            _ if kind == TextKind::Code => !acts(character) && !is_joiner(character) && !is_selector(character),
            _ if is_joiner(character) => before.is_some_and(|before| {
                is_joined_script(before)
                    || (character == '\u{200d}' && is_part_of_picture(before) && after.is_some_and(is_picture))
            }),
            // It chooses a form of what stands before it.
            _ if is_selector(character) => before.is_some_and(|before| !is_blank(before)),
            '\u{e0100}'..='\u{e01ef}' => before.is_some_and(is_han),
            '\u{180b}'..='\u{180f}' => before.is_some_and(|before| matches!(before, '\u{1820}'..='\u{18aa}')),
            '\u{200b}' => before.is_some_and(is_unspaced_script) && after.is_some_and(is_unspaced_script),
            // Marks of direction order nothing: with a script that runs the other way they put signs in their place.
            '\u{200e}' | '\u{200f}' | '\u{61c}' => has_rtl(),
            _ => !acts(character),
        };
        if !fits {
            return Some(character);
        }
        before = Some(character);
    }
    None
}

fn is_layout(character: char, kind: TextKind) -> bool {
    kind == TextKind::Lines && matches!(character, '\n' | '\r' | '\t' | '\u{ad}')
}

fn is_part_of_picture(character: char) -> bool {
    is_picture(character) || character == '\u{fe0f}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_written_out_and_all_else_stays() {
        assert_eq!(printable("a\u{1b}[31mb\u{202e}c\u{9b}d\u{e0041}"), "a\\u001b[31mb\\u202ec\\u009bd\\udb40\\udc41");
        assert_eq!(printable("a\nb"), "a\\u000ab");
        assert_eq!(printable_lines("a\nb\r"), "a\nb\\u000d");
        for text in ["শাড়ি", "ক্‍ষ", "👩🏽‍⚕️", "a b", "\u{a0}"] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
        let line = format!(r#"{{"name":"{}"}}"#, printable("a\u{202e}\u{e0001}b"));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["name"], "a\u{202e}\u{e0001}b", "a line of JSON stays one and says the same");
    }

    #[test]
    fn codes_are_compared_composed_and_without_blanks_around() {
        for same in ["e\u{301}1", " é1", "é1\u{3000}", "\u{2800}é1\u{feff}"] {
            assert_eq!(code_key(same), "é1", "{same}");
        }
        for other in ["É1", "é 1", "e1"] {
            assert_ne!(code_key(other), "é1", "{other}");
        }
    }

    #[test]
    fn what_is_seen_is_visible() {
        for text in ["a", "é", "শ", "½", "…", "👍", "\u{301}a", "한"] {
            assert!(is_visible(text), "{text}");
        }
        for text in [
            "",
            " \u{3000}",
            "\u{2800}",
            "\u{3164}\u{115f}",
            "\u{301}\u{302}",
            "\u{200d}",
            "\u{9be}",
            "\u{fe0f}",
            "\u{e0041}",
        ] {
            assert!(!is_visible(text), "{}", text.escape_unicode());
        }
    }

    #[test]
    fn joiners_stay_where_scripts_need_them() {
        for text in [
            "র\u{200d}্যাব",
            "ক্\u{200c}ত",
            "می\u{200c}خواهم",
            "👨\u{200d}👩",
            "🏳\u{fe0f}\u{200d}🌈",
            "1\u{fe0f}\u{20e3}",
            "שלום\u{200f}!",
            "ไทย\u{200b}ไทย",
            "葛\u{e0100}城",
        ] {
            assert_eq!(misplaced(text, TextKind::Line), None, "{}", text.escape_unicode());
        }
        for text in [
            "a\u{200d}b",
            "\u{200d}ক",
            "ক\u{200d}\u{200d}ত",
            "👨\u{200d}",
            "👨\u{200d}a",
            "a\u{200b}b",
            "abc\u{200f}",
            "\u{fe0f}a",
            " \u{fe0f}",
        ] {
            assert!(misplaced(text, TextKind::Line).is_some(), "{}", text.escape_unicode());
        }
        assert_eq!(misplaced("র\u{200d}্যাব", TextKind::Code), Some('\u{200d}'));
        assert_eq!(misplaced("a\nb\tc\u{ad}d", TextKind::Lines), None);
        assert_eq!(misplaced("a\nb", TextKind::Line), Some('\n'));
    }

    #[test]
    fn each_text_is_kept_in_one_form() {
        assert_eq!(composed("Cafe\u{301}"), "Café");
        assert_eq!(composed("\u{1112}\u{1161}\u{11ab}"), "한");
        assert!(matches!(composed("Café"), Cow::Borrowed(_)));
        let mut text = "ক\u{9c7}\u{9be}".to_owned();
        compose(&mut text);
        assert_eq!(text, "ক\u{9cb}");
    }
}
