//! The configuration that does the same as the arguments of `connect`, as text

use std::fmt::Write;

use super::arguments::ConnectArguments;
use crate::settings::Settings;

/// Returns the text; its password is the file that `password_file` names
pub(super) fn configuration(
    arguments: &ConnectArguments,
    settings: &Settings,
    password_file: &str,
) -> String {
    let mut text = format!(
        "[site.{}]\nserver = {}\nuser = {}\npassword = {{ file = {} }}\n",
        arguments.name,
        quote(&arguments.server),
        quote(&arguments.user),
        quote(password_file),
    );
    let mut add = |line: String| text.push_str(&line);
    if let Some(mru) = arguments.mru {
        add(format!("mru = {mru}\n"));
    }
    let weaker = arguments.insecure.names();
    if !weaker.is_empty() {
        let weaker: Vec<_> = weaker.into_iter().map(quote).collect();
        add(format!("insecure = [{}]\n", weaker.join(", ")));
    }
    for forward in settings.sites.values().flat_map(|site| &site.forwards) {
        let (listen, protocol) = (forward.listen.to_string(), forward.protocol.name());
        add(format!(
            "\n[[site.{}.forward]]\nlisten = {}\nto = {}\n",
            arguments.name,
            quote(&listen),
            quote(&format!("{protocol}:{}", forward.target)),
        ));
    }
    for proxy in &settings.proxies {
        let key = proxy.kind.name();
        let _ = write!(
            text,
            "\n[[proxy]]\n{key} = {}\nsites = [{}]\n",
            quote(&proxy.listen.to_string()),
            quote(arguments.name.as_str()),
        );
    }
    text
}

/// Writes a text as a basic string of TOML
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => {
                // writing to a text cannot fail
                let _ = write!(quoted, "\\u{:04X}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pptp::Password;

    use super::{super::settings::settings, *};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: ConnectArguments,
    }

    #[test]
    fn the_configuration_has_all_that_the_arguments_ask_for_and_no_password() {
        let Line { arguments } = Line::try_parse_from([
            "connect",
            "vpn.example.net",
            "-u",
            "o\"dd\\",
            "-L",
            "udp:3671:192.168.1.3:3671",
            "-D",
            "1081",
            "-H",
            "8081",
            "--mru",
            "1300",
            "--insecure",
            "pap",
            "--insecure",
            "no-encryption",
        ])
        .unwrap();
        let settings = settings(&arguments, Password::new("geheim"));
        let expected = r#"[site.home]
server = "vpn.example.net"
user = "o\"dd\\"
password = { file = "home.password" }
mru = 1300
insecure = ["pap", "no-encryption"]

[[site.home.forward]]
listen = "127.0.0.1:3671"
to = "udp:192.168.1.3:3671"

[[proxy]]
socks = "127.0.0.1:1081"
sites = ["home"]

[[proxy]]
http = "127.0.0.1:8081"
sites = ["home"]
"#;
        assert_eq!(configuration(&arguments, &settings, "home.password"), expected);
        assert!(toml::de::DeTable::parse(expected).is_ok());
    }

    #[test]
    fn any_text_is_read_again_as_it_was() {
        for text in ["", "a\tb\n", "\u{7f}", "ä\"\\", "\u{85}x"] {
            let document = format!("key = {}", quote(text));
            let table = toml::de::DeTable::parse(&document).unwrap();
            assert_eq!(table.get_ref()["key"].get_ref().as_str(), Some(text), "{document}");
        }
    }
}
