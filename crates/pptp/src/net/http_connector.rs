//! The connector of HTTP clients, for hyper and the clients built on it

use std::{
    fmt, io,
    io::IoSlice,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    Uri,
    rt::{Read, ReadBufCursor, Write},
};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use pptp_netstack::{TcpOptions, TcpStream};
use tower_service::Service;

use crate::Tunnel;

/// Connects an HTTP client to the servers behind a tunnel: a `tower::Service<Uri>`
///
/// hyper-util's pooled client takes it, and so does all that takes a connector of hyper's. The host of a URI is
/// an address of the remote network, or a name that is looked up inside the tunnel.
///
/// Clones share the tunnel. A connector keeps its tunnel up, as each handle does; when the tunnel has ended,
/// connects fail with an [`io::Error`] that has the [`TunnelError`](crate::TunnelError) in it, and a client
/// for the next tunnel needs a new connector.
///
/// ```no_run
/// # async fn example(tunnel: pptp::Tunnel) -> Result<(), Box<dyn std::error::Error>> {
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use pptp::net::HttpConnector;
///
/// let http: Client<_, String> = Client::builder(TokioExecutor::new()).build(HttpConnector::new(tunnel));
/// let response = http.get("http://plc.local/status".parse()?).await?;
/// println!("{}", response.status());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct HttpConnector {
    tunnel: Tunnel,
    options: TcpOptions,
    accepts_https: bool,
}

impl HttpConnector {
    /// Makes a connector for `http` URIs, with the default options of TCP but for `nodelay`
    pub fn new(tunnel: Tunnel) -> Self {
        let options = TcpOptions::default().nodelay(true);
        Self { tunnel, options, accepts_https: false }
    }

    /// Sets the options of the connections
    #[must_use]
    pub const fn options(mut self, options: TcpOptions) -> Self {
        self.options = options;
        self
    }

    /// Accepts `https` URIs too, for a connector above it that speaks TLS, such as that of hyper-rustls
    ///
    /// The connector itself speaks no TLS. Without this an `https` URI is an error, because its octets would leave
    /// in the clear.
    #[must_use]
    pub const fn accept_https(mut self) -> Self {
        self.accepts_https = true;
        self
    }

    fn destination(&self, uri: &Uri) -> io::Result<(String, u16)> {
        let default_port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") if self.accepts_https => 443,
            _ => return Err(invalid(uri, "its scheme is not http")),
        };
        let host = uri.host().ok_or_else(|| invalid(uri, "it names no host"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Ok((bare.to_owned(), uri.port_u16().unwrap_or(default_port)))
    }
}

impl Service<Uri> for HttpConnector {
    type Error = io::Error;
    type Future = HttpConnecting;
    type Response = HttpStream;

    /// Is always ready: connects wait for nothing but the network
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> HttpConnecting {
        let Self { tunnel, options, .. } = self.clone();
        let destination = self.destination(&uri);
        HttpConnecting(Box::pin(async move {
            let (host, port) = destination?;
            let stream = tunnel.tcp_connect_with((host.as_str(), port), options).await?;
            Ok(HttpStream(TokioIo::new(stream)))
        }))
    }
}

/// A connect of an [`HttpConnector`]
///
/// Dropping it gives the connect up.
pub struct HttpConnecting(Pin<Box<dyn Future<Output = io::Result<HttpStream>> + Send>>);

impl Future for HttpConnecting {
    type Output = io::Result<HttpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for HttpConnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnecting").finish_non_exhaustive()
    }
}

/// A TCP connection through a tunnel, as hyper reads and writes it
#[derive(Debug)]
pub struct HttpStream(TokioIo<TcpStream>);

impl HttpStream {
    /// Returns the connection itself
    pub fn into_inner(self) -> TcpStream {
        self.0.into_inner()
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl Write for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}

fn invalid(uri: &Uri, why: &str) -> io::Error {
    let host = uri.host().unwrap_or_default();
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("no connection for the URI of {host:?}: {why}"),
    )
}
