//! The bounds of a site that was made through the control interface

use std::net::IpAddr;

use super::{
    layers::EffectiveSite,
    problem::{Place, Problems},
    reader::Found,
    values::PasswordKey,
};
use crate::settings::{ApiBounds, Listen};

/// Tells of what the file does not allow
///
/// Only what the request says is looked at: the file's owner has written the templates and `[defaults]`. The password is
/// looked at in any case: one of the file would be sent to a server of the caller's choice.
pub(super) fn check(site: &EffectiveSite, bounds: &ApiBounds, problems: &mut Problems) {
    let keys = &site.keys;
    check_password(site, problems);
    let own = |place: &Place| place.file == site.place.file;
    if let Some(server) = keys.server.as_ref().filter(|it| own(&it.place))
        && !bounds.may_dial(&server.value)
    {
        problems.error(
            &server.place,
            "this server may not be dialled by the API",
            forbidden("servers"),
        );
    }
    if let Some(insecure) = keys.insecure.as_ref().filter(|it| own(&it.place))
        && !(insecure.value.is_empty() || bounds.insecure)
    {
        let message = "the API may not agree to a weaker login or encryption";
        problems.error(&insecure.place, message, forbidden("insecure"));
    }
    if let Some(address) = keys.address.as_ref().filter(|it| own(&it.place)) {
        check_address(address.value.into(), &address.place, bounds, problems);
    }
    for forward in keys.forward.iter().flat_map(|all| &all.value).filter(|it| own(&it.place)) {
        match &forward.value.listen {
            Some(Found { value: Listen::Ip(address), place }) => {
                check_address(address.ip(), place, bounds, problems);
            }
            Some(Found { value: Listen::Unix(_), place }) => {
                let message = "the API makes no unix sockets: only a file may name paths";
                problems.error(place, message, None);
            }
            None => {}
        }
    }
}

fn check_address(address: IpAddr, place: &Place, bounds: &ApiBounds, problems: &mut Problems) {
    if !bounds.may_listen(address) {
        let message = format!("no forward of the API may listen on {address}");
        problems.error(place, message, forbidden("listen"));
    }
}

fn check_password(site: &EffectiveSite, problems: &mut Problems) {
    let Some(password) = &site.keys.password else { return };
    if password.place.file != site.place.file {
        let message = "the password of a site that the API makes is its own, and none of the file";
        let help = "write `password` into the request, as a text or { sealed = … }";
        problems.error(&site.place, message, help.to_owned());
        return;
    }
    if matches!(password.value, PasswordKey::Literal(_) | PasswordKey::Sealed(_)) {
        return;
    }
    let message = "the API reads no file, variable or credential of this machine";
    let help = "write the password as a text, or { sealed = … }";
    problems.error(&password.place, message, help.to_owned());
}

/// Says which key of the file forbids it
fn forbidden(key: &str) -> String {
    format!("`{key}` of [api_sites] in the file forbids it")
}
