//! Lines of a configuration without the passwords in them

use std::ops::Range;

use super::schema::is_known_key;

/// The part of a line that a problem is about
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The place of the problem in the line, if it may be shown
    pub(super) place: Option<Range<usize>>,
    /// True if the file is not TOML: then the words of a line may be anything
    pub(super) is_broken: bool,
}

/// Returns a line, with `*` in place of each character that may belong to a password
///
/// A slip may put a password anywhere: behind `pasword =`, without quotes, in a line of its own. So only this is shown:
/// the place of the problem, the headers of tables, known keys, and the values of known keys that are no password. A
/// hidden character of several octets stays as wide in octets, so that places stay right.
pub(super) fn masked(line: &str, shown: &Shown) -> String {
    let mut visible = vec![false; line.len()];
    if is_header(line) {
        visible.fill(true);
    } else if shown.is_broken {
        show_first_key(line, &mut visible);
    } else {
        Tokens { line, at: 0, visible: &mut visible }.show();
    }
    if let Some(place) = &shown.place {
        show(&mut visible, place.clone());
    }
    let is_visible = |at: usize| visible.get(at).copied().unwrap_or(false);
    let characters = line.char_indices().flat_map(|(at, character)| {
        let is_shown = is_visible(at) || character.is_whitespace();
        let (shown, times) = if is_shown { (character, 1) } else { ('*', character.len_utf8()) };
        std::iter::repeat_n(shown, times)
    });
    characters.collect()
}

fn show(visible: &mut [bool], range: Range<usize>) {
    let end = range.end.min(visible.len());
    if let Some(part) = visible.get_mut(range.start.min(end)..end) {
        part.fill(true);
    }
}

/// Returns true for `[site.b17]`, also without its end
fn is_header(line: &str) -> bool {
    let is_word = |it: char| it.is_ascii_alphanumeric() || ". _-]".contains(it);
    let name = line.trim().trim_start_matches('[');
    line.trim().starts_with('[') && name.chars().all(is_word)
}

/// Shows a known key at the start of a line, and the sign behind it
fn show_first_key(line: &str, visible: &mut [bool]) {
    let start = line.len().saturating_sub(line.trim_start().len());
    let rest = line.get(start..).unwrap_or_default();
    let key = rest.split(|it: char| !is_bare(it)).next().unwrap_or_default();
    if is_known_key(key) {
        let behind = start.saturating_add(key.len());
        let after = line.get(behind..).unwrap_or_default();
        let spaces = after.len().saturating_sub(after.trim_start().len());
        let sign = usize::from(after.trim_start().starts_with('='));
        show(visible, start..behind.saturating_add(spaces).saturating_add(sign));
    }
}

const fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// The words of a line of TOML
struct Tokens<'a> {
    line: &'a str,
    at: usize,
    visible: &'a mut [bool],
}

impl Tokens<'_> {
    /// Shows keys, and the values of known keys that are no password
    fn show(&mut self) {
        let mut is_value_shown = false;
        while let Some(first) = self.rest().chars().next() {
            let start = self.at;
            match first {
                '#' => return,
                '"' | '\'' => self.skip_string(first),
                it if is_bare(it) => self.skip_word(),
                _ => {
                    self.at = self.at.saturating_add(first.len_utf8());
                    if "{}[],=.".contains(first) {
                        show(self.visible, start..self.at);
                    }
                    continue;
                }
            }
            let word = self.line.get(start..self.at).unwrap_or_default();
            let is_key = self.rest().trim_start().starts_with(['=', '.']);
            if is_key {
                let name = word.trim_matches(['"', '\'']);
                is_value_shown = is_known_key(name) && !SECRETS.contains(&name);
            }
            if is_key || is_value_shown {
                show(self.visible, start..self.at);
            }
        }
    }

    fn rest(&self) -> &str {
        self.line.get(self.at..).unwrap_or_default()
    }

    fn skip_word(&mut self) {
        let rest = self.rest();
        let length = rest.find(|it| !is_bare(it)).unwrap_or(rest.len());
        self.at = self.at.saturating_add(length);
    }

    /// Goes behind a text in quotes; one of several lines ends the line
    fn skip_string(&mut self, quote: char) {
        let mut is_escaped = false;
        let rest = self.rest();
        let mut end = rest.len();
        for (at, character) in rest.char_indices().skip(1) {
            if character == quote && !is_escaped {
                end = at.saturating_add(1);
                break;
            }
            is_escaped = character == '\\' && quote == '"' && !is_escaped;
        }
        self.at = self.at.saturating_add(end);
    }
}

/// The keys whose values are hidden
const SECRETS: [&str; 3] = ["password", "sha256", "sealed"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        masked(line, &Shown { place: None, is_broken: false })
    }

    fn broken(line: &str) -> String {
        masked(line, &Shown { place: None, is_broken: true })
    }

    #[test]
    fn known_keys_and_their_values_are_shown_and_passwords_are_not() {
        for (line, wanted) in [
            (r#"password = "geheim""#, "password = ********"),
            (r#"pasword = "geheim""#, "pasword = ********"),
            (r#"password = { file = "a" }"#, r#"password = { file = "a" }"#),
            (r#"password = { value = "geheim" }"#, "password = { value = ******** }"),
            (r#"password.text = "geheim""#, "password.text = ********"),
            ("mru = 1400 # geheim", "mru = 1400 * ******"),
            (r#"password = { sealed = "k1.A" }"#, "password = { sealed = ****** }"),
            (r#"b17 = { server = "x", mru = 9 }"#, r#"b17 = { server = "x", mru = 9 }"#),
            ("hosts = { knx = 3 }", "hosts = { knx = * }"),
            ("[[site.b17.forward]]", "[[site.b17.forward]]"),
            (r#"user = "svc", password = 'é' }"#, r#"user = "svc", password = **** }"#),
            (r#"pw = ["geheim", "more"]"#, "pw = [********, ******]"),
        ] {
            assert_eq!(shown(line), wanted, "{line}");
        }
    }

    #[test]
    fn a_line_of_a_broken_file_shows_its_key_alone() {
        for (line, wanted) in [
            ("[site.b17", "[site.b17"),
            ("password = geheim", "password = ******"),
            ("password: geheim", "password* ******"),
            ("password  \"geheim\"", "password  ********"),
            ("geheim\"\"\"", "*********"),
            ("user = \"svc\"", "user = *****"),
        ] {
            assert_eq!(broken(line), wanted, "{line}");
        }
    }

    #[test]
    fn the_place_of_a_problem_is_shown() {
        let place = Some(0..5);
        assert_eq!(masked("servr = \"x\"", &Shown { place, is_broken: false }), "servr = ***");
    }
}
