"""asyncio with its default backlog; `--block` stops the whole loop for each request, as a synchronous call does."""

import argparse
import asyncio
import time

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=100)
parser.add_argument("--block", type=float, default=0)
asked = parser.parse_args()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    print("accepted", flush=True)
    try:
        while data := await reader.read(65536):
            time.sleep(asked.block)
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(echo, "0.0.0.0", asked.port, backlog=asked.backlog)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
