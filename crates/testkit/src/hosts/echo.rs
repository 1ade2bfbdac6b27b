//! The echo service (RFC 862)

use std::io;

use pptp_netstack::TcpStream;
use tokio::io::copy;

pub(super) async fn serve(stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    copy(&mut reader, &mut writer).await?;
    Ok(())
}
