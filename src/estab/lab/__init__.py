"""The lab: failures reproduced in network namespaces, predicted, judged and mended.

`estab.lab.run.lab` plays scenarios; each is one file in `estab.lab.scenarios`.
"""
