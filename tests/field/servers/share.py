"""An asyncio server that ends a share of its connections, whoever came first: each n-th, or some by chance.

It writes "accepted" for each, and "ended" for each that it ends.
"""

import argparse
import asyncio
import itertools
import random

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=8080)
parser.add_argument("--backlog", type=int, default=512)
parser.add_argument("--nth", type=int, default=0, help="each n-th is ended")
parser.add_argument("--chance", type=float, default=0, help="each is ended with this probability")
parser.add_argument("--after", type=float, default=0, help="seconds that it lives before")
parser.add_argument("--reset", action="store_true", help="by RST")
asked = parser.parse_args()
dice = random.Random(7)
numbers = itertools.count(1)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    number = next(numbers)
    print("accepted", flush=True)
    if (asked.nth and number % asked.nth == 0) or dice.random() < asked.chance:
        await asyncio.sleep(asked.after)
        print("ended", flush=True)
        if asked.reset:
            writer.transport.abort()
        writer.close()
        return
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main() -> None:
    async with await asyncio.start_server(serve, "0.0.0.0", asked.port, backlog=asked.backlog) as server:
        print("ready", flush=True)
        await server.serve_forever()


asyncio.run(main())
