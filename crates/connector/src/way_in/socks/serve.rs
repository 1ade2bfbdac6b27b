//! A client of a SOCKS proxy, from its first octet on

use std::time::Duration;

use pptp_socks5::{Command, Reply};
use tokio::time::timeout;

use super::{answer, associate, connect, handshake};
use crate::{
    settings::ProxySettings,
    way_in::{
        client::{Client, ClientStream},
        listener::Listener,
        pass::Passage,
        refusal::Refusal,
    },
};

/// Serves a client of a SOCKS proxy until it ends
pub(in crate::way_in) async fn serve<S: ClientStream>(
    listener: &Listener,
    client: Client<S>,
    proxy: &ProxySettings,
) {
    let origin = client.origin();
    let mut passage = Passage::new(client);
    let asked = timeout(HANDSHAKE, handshake::read(&mut passage.client, proxy)).await;
    let (guest, request) = match asked {
        Ok(Ok(asked)) => asked,
        Ok(Err(failed)) => {
            listener.refuse(origin, &failed.refusal);
            return answer::say(passage, failed.reply).await;
        }
        Err(_) => {
            let seconds = HANDSHAKE.as_secs();
            let refusal = Refusal::Protocol(format!("no whole request within {seconds} s"));
            return listener.refuse(origin, &refusal);
        }
    };
    match request.command {
        Command::Connect => connect::serve(listener, passage, proxy, &guest, &request.target).await,
        Command::UdpAssociate => {
            associate::serve(listener, passage, proxy, &guest, &request.target).await;
        }
        Command::Bind | Command::Unknown(_) => {
            let command = format!("{:?}: CONNECT and UDP ASSOCIATE are known", request.command);
            listener.refuse(origin, &Refusal::Protocol(command));
            answer::say(passage, Some(Reply::CommandNotSupported)).await;
        }
    }
}

/// The time that a client has for greeting, login and request
const HANDSHAKE: Duration = Duration::from_secs(10);
