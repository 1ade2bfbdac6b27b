"""websockets: a WebSocket behind a site, through CONNECT of the HTTP proxy."""
import asyncio, os, socks, sys, websockets

async def main():
    s = socks.socksocket()
    s.set_proxy(socks.HTTP, "127.0.0.1", int(sys.argv[1]), username=sys.argv[2], password="-")
    s.connect(("192.168.1.3", 8000))
    s.setblocking(False)
    async with websockets.connect("ws://192.168.1.3:8000/", sock=s, max_size=1 << 24) as socket:
        for length in (1, 125, 65_535, 1 << 20):
            said = os.urandom(length)
            await socket.send(said)
            assert await socket.recv() == said, length
        await (await socket.ping())
        await asyncio.sleep(3)
        await socket.send("still there?")
        assert await socket.recv() == "still there?"
    print("closed with", socket.close_code)

asyncio.run(asyncio.wait_for(main(), 60))
