"""xknx: two KNXnet/IP tunnelling connections at once through each forward, without "route back", which hear each other."""
import asyncio, sys
from xknx import XKNX
from xknx.exceptions import CommunicationError
from xknx.io import ConnectionConfig, ConnectionType
from xknx.telegram.telegram import TelegramDirection
from xknx.tools import group_value_write

ports = [int(port) for port in sys.argv[1:]]

class Program:
    """One connection: it writes groups of its own, and notes what comes from others."""

    def __init__(self, port, number):
        self.port, self.number, self.heard = port, number, []
        config = ConnectionConfig(connection_type=ConnectionType.TUNNELING, gateway_ip="127.0.0.1",
                                  gateway_port=port, local_ip="127.0.0.1", route_back=False)
        self.xknx = XKNX(connection_config=config)
        self.xknx.telegram_queue.register_telegram_received_cb(self.hear)

    def hear(self, telegram):
        if telegram.direction == TelegramDirection.INCOMING:
            self.heard.append((str(telegram.destination_address), telegram.payload.value.value))

    async def start(self):
        for attempt in range(5):  # xknx waits for a second only, and a server that has just come up may need more
            try:
                return await self.xknx.start()
            except CommunicationError as error:
                print("asks again:", error)
        raise SystemExit(f"no connection by port {self.port}")

    async def write(self, values):
        for value in values:
            group_value_write(self.xknx, f"1/{self.number}/3", value)
        await self.xknx.join()

async def main():
    programs = [Program(port, number) for port in ports for number in (1, 2)]
    await asyncio.gather(*(program.start() for program in programs))
    for program in programs:
        print("connected", program.port, program.xknx.current_address)
    values = [1, 0, 1]
    await asyncio.gather(*(program.write(values) for program in programs))
    for _ in range(100):
        if all(len(program.heard) >= len(values) for program in programs):
            break
        await asyncio.sleep(0.1)
    for program in programs:
        counts = program.xknx.connection_manager
        print("port", program.port, "program", program.number, "heard", program.heard,
              "refused", counts.cemi_count_outgoing_error)
    await asyncio.gather(*(program.xknx.stop() for program in programs))

asyncio.run(asyncio.wait_for(main(), 90))
