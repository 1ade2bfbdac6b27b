"""xknx: a KNXnet/IP tunnelling connection through a forward, without "route back", that stays or writes."""
import asyncio, sys
from xknx import XKNX
from xknx.exceptions import CommunicationError
from xknx.io import ConnectionConfig, ConnectionType
from xknx.tools import group_value_write

async def main():
    config = ConnectionConfig(connection_type=ConnectionType.TUNNELING, gateway_ip="127.0.0.1",
                              gateway_port=int(sys.argv[1]), local_ip="127.0.0.1", route_back=False)
    async with XKNX(connection_config=config) as xknx:
        print("connected as", xknx.current_address, flush=True)
        if sys.argv[2] == "stay":
            await asyncio.sleep(600)
        for value in range(3):
            group_value_write(xknx, "1/2/3", value)
        await xknx.join()

for attempt in range(5):  # xknx waits for a second only, and a server that has just come up may need more
    try:
        asyncio.run(main())
        break
    except CommunicationError as error:
        print("asks again:", error, flush=True)
