"""The lab: failures reproduced in network namespaces, predicted, judged and mended.

`estab.lab(...)`, the public name, is the function `estab.lab.run.session.lab`; it runs scenarios, each one file in
`estab.lab.scenarios`. `estab/__init__.py` keeps that name a function also after this package was imported. So within
this package use `from estab.lab.X import Y`; `import estab.lab.X as Y` would look for X in the function.
"""
