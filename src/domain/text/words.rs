//! The words of a text, as it is searched by them: without regard to upper and lower case, to how letters are put together, and to joiners.
//!
//! One function makes the words of what is stored and of what is asked for. So the stores compare words as they are, and need to know nothing of
//! Unicode.

use super::{composed, is_mark};
use crate::domain::ids::CategoryId;
use crate::limits;
use caseless::Caseless as _;
use std::collections::BTreeSet;
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The words of a text, in their order: runs of letters, marks and digits, folded as `NFKC_Casefold` does (UAX #31, section 5; UAX #15), each cut
/// after [`limits::WORD_CHARACTERS`].
pub fn of(text: &str) -> Vec<String> {
    if text.is_ascii() {
        let runs = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|run| !run.is_empty());
        return runs.map(|run| cut(run.to_ascii_lowercase())).collect();
    }
    // Folding may take letters apart, and what is put together may fold again: twice is enough (Unicode 17.0, definition 147).
    let once = folded(text);
    let text = folded(&once);
    text.split(|character| !is_of_word(character))
        .filter(|run| !run.is_empty())
        .map(|run| cut(run.to_owned()))
        .collect()
}

/// The words of several texts, each once, with a blank between them.
pub fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let words: BTreeSet<String> = texts.flat_map(in_product).collect();
    let mut joined = String::new();
    for word in words {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(&word);
    }
    joined
}

/// The words of a text; of the id of a category one word that stands for it.
fn in_product(text: &str) -> Vec<String> {
    text.parse().map_or_else(|_| of(text), |category| vec![of_category(category)])
}

/// A word that stands for a category of the tree. It begins with a character that is in no word that anybody looks for.
pub fn of_category(category: CategoryId) -> String {
    format!("\u{e000}{}", category.uuid().simple())
}

/// Composed by compatibility, case-folded in full, without what is not to be seen. A break without width parts words as a blank does.
fn folded(text: &str) -> String {
    let visible = text.chars().map(|character| if character == '\u{200b}' { ' ' } else { character });
    let visible = visible.filter(|character| !super::printable::is_ignorable(*character));
    let folded: String = visible.nfkc().default_case_fold().nfkc().collect();
    match composed(&folded) {
        std::borrow::Cow::Borrowed(_) => folded,
        std::borrow::Cow::Owned(composed) => composed,
    }
}

fn is_of_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || !character.is_ascii()
            && (is_mark(character)
                || matches!(
                    character.general_category_group(),
                    GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number
                ))
}

/// A word that is longer is known by how it begins: Postgres takes no longer ones.
fn cut(mut word: String) -> String {
    if let Some((end, _)) = word.char_indices().nth(limits::WORD_CHARACTERS) {
        word.truncate(end);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_text_are_its_letters_marks_and_digits() {
        for (text, words) in [
            ("", &[][..]),
            ("  -- !", &[]),
            ("Jamdani Saree, 5.5 m", &["jamdani", "saree", "5", "5", "m"]),
            ("JAM-RED_2", &["jam", "red", "2"]),
            ("শাড়ি জামদানি", &["শাড়ি", "জামদানি"]),
            ("Café CAFE\u{301} cafe", &["café", "café", "cafe"]),
            ("Straße STRASSE", &["strasse", "strasse"]),
            ("ΣΊΣΥΦΟΣ σίσυφος", &["σίσυφοσ", "σίσυφοσ"]),
            ("ﬁn Ｆｉｎ ①②", &["fin", "fin", "12"]),
            ("한국어 日本語", &["한국어", "日本語"]),
            ("ไทย\u{200b}ไทย", &["ไทย", "ไทย"]),
            ("soft\u{ad}ware", &["software"]),
        ] {
            assert_eq!(of(text), words, "{text}");
        }
    }

    #[test]
    fn spellings_that_look_the_same_are_the_same_word() {
        for (one, other) in [
            ("র\u{200d}্যাব", "র্যাব"),
            ("ক্\u{200c}ত", "ক্ত"),
            ("\u{9a1}\u{9bc}", "\u{9dc}"),
            ("ক\u{9c7}\u{9be}", "ক\u{9cb}"),
            ("\u{1e9e}", "ss"),
            ("İ", "i\u{307}"),
            ("\u{345}\u{3b1}", "ια"),
            ("À\u{301}", "a\u{300}\u{301}"),
            ("Ǆ", "dž"),
            ("\u{fb1d}", "\u{5d9}\u{5b4}"),
        ] {
            assert_eq!(of(one), of(other), "{} {}", one.escape_unicode(), other.escape_unicode());
        }
    }

    #[test]
    fn other_words_stay_other_words() {
        for (one, other) in [("জামদানি", "জিমদিনা"), ("é", "e"), ("কি", "কী"), ("ı", "i"), ("o", "ø"), ("ষ", "শ")]
        {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
    }

    #[test]
    fn a_category_stands_there_as_one_word_that_nobody_can_look_for() {
        let category = CategoryId::from_uuid(uuid::Uuid::from_u128(7));
        let said = joined(["Saree", &category.to_string(), "a saree"].into_iter());
        assert_eq!(said, format!("a saree {}", of_category(category)));
        assert_eq!(of(&of_category(category)), [category.uuid().simple().to_string()]);
    }

    #[test]
    fn a_long_word_is_known_by_how_it_begins() {
        let long = "ক".repeat(limits::WORD_CHARACTERS + 1);
        assert_eq!(of(&long), ["ক".repeat(limits::WORD_CHARACTERS)]);
        assert_eq!(of(&"x".repeat(1000)), ["x".repeat(limits::WORD_CHARACTERS)]);
        assert_eq!(of("\u{fdfa}").concat().chars().filter(|character| character.is_whitespace()).count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn words_are_made_of_themselves(text in "\\PC{0,40}") {
            let words = of(&text);
            proptest::prop_assert_eq!(of(&words.join(" ")), words.clone());
            let apart: String = text.nfd().collect();
            proptest::prop_assert_eq!(of(&apart), words.clone());
            proptest::prop_assert!(words.iter().all(|word| !word.is_empty() && word.chars().count() <= limits::WORD_CHARACTERS));
        }
    }
}
