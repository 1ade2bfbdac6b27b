//! The handshake of a SOCKS client: greeting, login and request (RFC 1928 §3 and §4, RFC 1929)

use std::io;

use pptp_socks5::{Error, Greeting, Login, Method, Reply, Request, choose, login_answer};
use tokio::io::AsyncWriteExt;

use crate::{
    settings::ProxySettings,
    way_in::{
        access::Guest,
        client::{Client, ClientStream},
        refusal::Refusal,
    },
};

/// A handshake that failed
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) refusal: Refusal,
    /// The reply for the client, if one is due at this point
    pub(super) reply: Option<Reply>,
}

/// Reads what a client wants, and lets it in
///
/// A proxy without logins prefers the login of RFC 1929 all the same, since the user name is the site; its password may
/// be anything, also empty. What the client has sent behind its request stays unread.
pub(super) async fn read<S: ClientStream>(
    client: &mut Client<S>,
    proxy: &ProxySettings,
) -> Result<(Guest, Request), Failed> {
    let greeting = message(client, Greeting::read).await?;
    let method = if greeting.offers(Method::Login) {
        Some(Method::Login)
    } else {
        let is_open = proxy.logins.is_empty() && greeting.offers(Method::NoAuthentication);
        is_open.then_some(Method::NoAuthentication)
    };
    write(client, &choose(method)).await?;
    let guest = match method {
        Some(Method::Login) => log_in(client, proxy).await?,
        Some(Method::NoAuthentication) => Guest::enter(proxy, None, b"").map_err(Failed::silent)?,
        None => return Err(Failed::silent(Refusal::Login)),
    };
    Ok((guest, message(client, Request::read).await?))
}

async fn log_in<S: ClientStream>(
    client: &mut Client<S>,
    proxy: &ProxySettings,
) -> Result<Guest, Failed> {
    let login = message(client, Login::read).await?;
    let user = String::from_utf8_lossy(&login.user);
    let guest = Guest::enter(proxy, Some(&user), &login.password);
    write(client, &login_answer(guest.is_ok())).await?;
    guest.map_err(Failed::silent)
}

/// Reads one message, whatever pieces it comes in
async fn message<S: ClientStream, T>(
    client: &mut Client<S>,
    read: impl Fn(&[u8]) -> Result<Option<(T, usize)>, Error>,
) -> Result<T, Failed> {
    loop {
        match read(client.ahead()) {
            Ok(Some((message, used))) => {
                client.consume(used);
                return Ok(message);
            }
            Ok(None) if client.ahead().len() >= MAX_AHEAD => {
                let refusal = Refusal::Protocol("the handshake is too long".to_owned());
                return Err(Failed::silent(refusal));
            }
            Ok(None) => {}
            Err(error) => {
                let is_request =
                    matches!(error, Error::AddressKind(_) | Error::Name | Error::Reserved);
                let reply = is_request.then(|| Reply::for_error(error));
                return Err(Failed { refusal: Refusal::Protocol(error.to_string()), reply });
            }
        }
        let has_more = client.read_ahead(MAX_AHEAD).await;
        if !has_more.map_err(|error| gone(&error))? {
            return Err(Failed::silent(Refusal::Gone("its request".to_owned())));
        }
    }
}

async fn write<S: ClientStream>(client: &mut Client<S>, octets: &[u8]) -> Result<(), Failed> {
    client.write_all(octets).await.map_err(|error| gone(&error))
}

fn gone(error: &io::Error) -> Failed {
    Failed::silent(Refusal::Gone(format!("its request ({error})")))
}

impl Failed {
    const fn silent(refusal: Refusal) -> Self {
        Self { refusal, reply: None }
    }
}

/// Octets of a client before its request is read
const MAX_AHEAD: usize = 8 << 10;
