//! The watch over passwords that were refused or could not be had: another one wakes the site

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use pptp::{Class, Password, config::PasswordEncoding};
use pptp_fleet::{Secret, SiteFailure, SiteName};
use tokio::{
    sync::{Mutex, Notify},
    time::timeout,
};

use super::lifecycle::Daemon;
use crate::passwords::fetch_all;

/// The passwords of sites that wait for another one, as keyed hashes
#[derive(Debug, Default)]
pub(super) struct SecretWatch {
    key: RandomState,
    /// Wakes the watch before its time
    look: Notify,
    seen: Mutex<BTreeMap<SiteName, u64>>,
}

/// The reason why a site waits for another password
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The server refused it
    Refused,
    /// It could not be had
    NotHad,
}

impl Daemon {
    /// Looks at the passwords of the sites that wait for another one, and wakes those that have it
    ///
    /// A password that is the same as before wakes nothing: it would only be refused once more.
    async fn look_at_secrets(&self) {
        let waiting = self.sites_that_wait().await;
        let mut seen = self.secrets.seen.lock().await;
        seen.retain(|name, _| waiting.contains_key(name));
        let secrets = waiting.iter().map(|(name, (_, secret))| (name.clone(), secret.clone()));
        for (name, password) in fetch_all(secrets.collect()).await {
            let (Ok(password), Some((wait, _))) = (password, waiting.get(&name)) else { continue };
            let hash = self.secrets.hash(&password);
            let before = seen.insert(name.clone(), hash);
            if *wait == Wait::NotHad || before.is_some_and(|before| before != hash) {
                self.fleet().secret_changed(&name).await;
            }
        }
    }

    async fn sites_that_wait(&self) -> BTreeMap<SiteName, (Wait, Secret)> {
        let settings = self.settings.lock().await;
        let waiting = self.fleet().sites().into_iter().filter_map(|site| {
            let state = site.state();
            let wait = match state.borrow().failure()? {
                SiteFailure::Secret { .. } => Wait::NotHad,
                failure if failure.class() == Class::Credentials => Wait::Refused,
                _ => return None,
            };
            let secret = settings.sites.get(site.name())?.dial.secret().clone();
            matches!(secret, Secret::Source(_)).then(|| (site.name().clone(), (wait, secret)))
        });
        waiting.collect()
    }

    /// Has the watch look now; a reload does not wait for passwords that hang
    pub(super) fn wake_secret_watch(&self) {
        self.secrets.look.notify_one();
    }

    /// Looks at them now and then, as long as the daemon lives
    pub(super) fn spawn_secret_watch(self: &Arc<Self>) {
        let daemon = Arc::downgrade(self);
        self.spawn(async move {
            loop {
                let Some(secrets) = daemon.upgrade().map(|it| Arc::clone(&it.secrets)) else {
                    return;
                };
                // whether it was woken or its time has come: it looks
                let _ = timeout(INTERVAL, secrets.look.notified()).await;
                let Some(daemon) = daemon.upgrade() else { return };
                daemon.look_at_secrets().await;
            }
        });
    }
}

impl SecretWatch {
    fn hash(&self, password: &Password) -> u64 {
        self.key.hash_one(&*password.octets(PasswordEncoding::Utf16))
    }
}

/// The time between two looks
const INTERVAL: std::time::Duration = std::time::Duration::from_secs(30);
