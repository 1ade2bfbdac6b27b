//! The secret of a site

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pptp_fleet::{Secret, SiteName};

use super::{
    layers::EffectiveSite,
    problem::Problems,
    reader::Found,
    secret::{PasswordPlace, SealedPassword},
    site::Means,
    source::{Origin, Sources},
    values::PasswordKey,
};
use crate::seal::{Bound, Sealed};

/// Makes the secret of a site; one that was asked for now is sealed first, and is returned beside
pub(super) fn secret(
    name: &SiteName,
    (password, bound): (&Found<PasswordKey>, &Bound),
    origin: Origin,
    means: &Means<'_>,
    problems: &mut Problems,
) -> Option<(Secret, Option<Sealed>)> {
    let place = match &password.value {
        PasswordKey::File(path) => PasswordPlace::File(beside(password, path, means.sources)),
        PasswordKey::Environment(name) => PasswordPlace::Environment(name.clone()),
        PasswordKey::Credential(name) => PasswordPlace::Credential(name.clone()),
        PasswordKey::Literal(text) if origin == Origin::File => {
            let help = "write it to a file that others cannot read: password = { file = \"…\" }";
            problems.warn_of_secret(&password.place, "the password stands in this file", help);
            return Some((Secret::Literal(text.clone()), None));
        }
        PasswordKey::Literal(_) | PasswordKey::Sealed(_) => {
            let sealed = sealed(name, (&password.value, bound), origin, means);
            let sealed = match sealed {
                Ok(sealed) => sealed,
                Err(message) => {
                    problems.secret(&password.place, message, None);
                    return None;
                }
            };
            let source = SealedPassword::new(sealed.clone(), bound.clone(), means.key.clone());
            return Some((Secret::Source(Arc::new(source)), Some(sealed)));
        }
    };
    Some((Secret::Source(Arc::new(place)), None))
}

/// Seals the password of a site, or checks one that came sealed if it was asked for now
fn sealed(
    name: &SiteName,
    (password, bound): (&PasswordKey, &Bound),
    origin: Origin,
    means: &Means<'_>,
) -> Result<Sealed, String> {
    let sealer = means.sealer.filter(|_| origin == Origin::Asked);
    match (password, sealer) {
        (PasswordKey::Literal(text), Some(sealer)) => sealer.seal(name, bound, text),
        (PasswordKey::Sealed(sealed), Some(sealer)) => {
            sealer.check(sealed, bound)?;
            Ok(sealed.clone())
        }
        (PasswordKey::Sealed(sealed), None) => Ok(sealed.clone()),
        _ => Err("a sealed password is wanted here".to_owned()),
    }
}

/// Returns the file of a site's password, if it has one
pub(super) fn secret_file(site: &EffectiveSite, sources: &Sources) -> Option<PathBuf> {
    let password = site.keys.password.as_ref()?;
    match &password.value {
        PasswordKey::File(path) => Some(beside(password, path, sources)),
        _ => None,
    }
}

/// Returns a path that was written in a key
fn beside<T>(key: &Found<T>, path: impl AsRef<Path>, sources: &Sources) -> PathBuf {
    sources.folder(key.place.file).join(path)
}
