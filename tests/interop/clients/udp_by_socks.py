"""PySocks: datagrams to the echo of each site through SOCKS, the site by its user name."""
import socks, sys

def ask(s, said):
    """Asks again, as whoever uses UDP does: a server that has just come up may need more than a second to pass packets."""
    for _ in range(5):
        s.sendto(said, ("192.168.1.3", 7))
        try:
            heard, sender = s.recvfrom(2048)
            while heard != said:  # of an earlier one
                heard, sender = s.recvfrom(2048)
            return sender
        except TimeoutError:
            print("asks again")
    raise SystemExit(f"{len(said)} octets have no answer")

proxy, sites = int(sys.argv[1]), sys.argv[2:]
sockets = []
for site in sites:
    s = socks.socksocket(type=socks.socket.SOCK_DGRAM)
    s.set_proxy(socks.SOCKS5, "127.0.0.1", proxy, username=site, password="-")
    s.settimeout(2)
    sockets.append(s)
for length in (1, 100, 1200):
    for site, s in zip(sites, sockets):
        sender = ask(s, (site.encode() + b" ").ljust(length, b"x"))
        assert sender == ("192.168.1.3", 7), sender
print("heard all")
