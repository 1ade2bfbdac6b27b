//! The failures of the field, each with its own typed error and in bounded time.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use pptp::{Client, TunnelConfig, TunnelError};
use pptp_interop::{Building, Lab, Nft, Outcome, PASSWORD, Program, USER, trial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::config;

/// The host of the tests themselves, as the buildings see it
const HERE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
/// No failure that the client can tell takes longer.
const LIMIT: Duration = Duration::from_secs(12);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("a_wrong_password_is_AuthFailed_691", wrong_password),
        trial("an_unknown_user_is_AuthFailed", unknown_user),
        trial("a_web_server_that_waits_on_port_1723_is_NoControlReply", web_server_that_waits),
        trial("a_web_server_that_answers_on_port_1723_is_NotPptp", web_server_that_answers),
        trial("nothing_listening_is_TcpRefused_at_once", nothing_listening),
        trial("GRE_lost_on_its_way_in_is_GreBlocked", gre_lost),
        trial("GRE_forbidden_on_its_way_out_is_GreBlocked", gre_forbidden),
    ]
}

async fn wrong_password(_: &Lab) -> Outcome {
    let config = TunnelConfig::new(Building::ONE.server().to_string(), USER, "Mellon42");
    let (error, took) = fail(config).await?;
    assert_eq!(error.name(), "AuthFailed");
    assert!(error.to_string().contains("691"), "{error}");
    assert!(took < Duration::from_secs(5), "took {took:?}");
    assert!(!format!("{error} {error:?}").contains("Mellon42"), "the error tells the password");
    Ok(())
}

async fn unknown_user(_: &Lab) -> Outcome {
    let config = TunnelConfig::new(Building::ONE.server().to_string(), "nobody", PASSWORD);
    // No 691: pppd has an empty message for users whom it does not know.
    assert_eq!(fail(config).await?.0.name(), "AuthFailed");
    Ok(())
}

/// Python's web server waits for the end of a line, which the client's first message does not have.
async fn web_server_that_waits(_: &Lab) -> Outcome {
    let mut python = Command::new("python3");
    python.args(["-u", "-m", "http.server", "1723", "--bind", &HERE.to_string()]);
    let mut server = Program::start(python)?;
    server.wait_for("Serving HTTP", Duration::from_secs(20)).await?;
    let (error, took) = fail(here()).await?;
    assert!(matches!(error.name(), "NoControlReply" | "NotPptp"), "{error}");
    assert!(took < LIMIT, "took {took:?}");
    Ok(())
}

async fn web_server_that_answers(_: &Lab) -> Outcome {
    let listener = TcpListener::bind((HERE, 1723)).await?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let _ = stream.read(&mut [0; 512]).await?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await
    });
    let (error, took) = fail(here()).await?;
    assert_eq!(error.name(), "NotPptp");
    assert!(took < Duration::from_secs(2), "took {took:?}");
    Ok(server.await??)
}

async fn nothing_listening(_: &Lab) -> Outcome {
    let (error, took) = fail(here()).await?;
    assert_eq!(error.name(), "TcpRefused");
    assert!(took < Duration::from_secs(1), "took {took:?}");
    Ok(())
}

async fn gre_lost(_: &Lab) -> Outcome {
    let _lost = Nft::lose_gre_from(Building::TWO.server())?;
    gre_blocked().await
}

async fn gre_forbidden(_: &Lab) -> Outcome {
    let _forbidden = Nft::forbid_gre_to(Building::TWO.server())?;
    gre_blocked().await
}

async fn gre_blocked() -> Outcome {
    let (error, took) = fail(config(Building::TWO)).await?;
    assert_eq!(error.name(), "GreBlocked");
    assert!(took < LIMIT, "took {took:?}");
    Ok(())
}

fn here() -> TunnelConfig {
    TunnelConfig::new(HERE.to_string(), USER, PASSWORD)
}

/// How connecting by `config` fails, and how long that takes
async fn fail(config: TunnelConfig) -> Result<(TunnelError, Duration), Failed> {
    let client = Client::new()?;
    let began = Instant::now();
    let error = client.connect(config).await.err().ok_or("a tunnel came up")?;
    println!("  after {:.1?}: {error}", began.elapsed());
    Ok((error, began.elapsed()))
}
