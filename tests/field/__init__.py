"""The judge in the field: situations on servers that estab did not write, each with the answer that is right.

`python -m tests.field` plays them and prints the table. A situation is an entry in `situations/`; what happened in it
is proved by `ss`, `nstat`, nft or the server's own log (`proof.py`), never by estab.

```
__main__.py    the command line; runner.py: situations side by side, each in namespaces of its own; table.py: the result
situation.py   what an entry says: World, Program, Later, Truth, Situation
catalogue.py   all entries of situations/
play.py        plays one, inside: world, programs, the command of estab, the proofs; stage.py: worlds and programs
proof.py       outside evidence; evidence.py: what is read for it
mark.py        pure: what is right, and what was said -> right, wrong, silent, misleading, false alarm
servers/       small servers, proxies and clients, each a program of its own that needs the standard library alone
```
"""
