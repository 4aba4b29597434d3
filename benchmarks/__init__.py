"""estab against its peers, as ratios of runs that took turns: `python -m benchmarks`, from the repository's root.

What lives here: the cases, the running of both programs, the ratios. Never a timed assertion: a figure is printed
beside its target and whether it was met; the exit code tells only whether it could be measured.

    __main__.py  arguments, the turns, the table          measure.py  one measurement, in a namespace of its own
    cases.py     what is measured against what            own.py      runs estab
    ratios.py    pairs to ratios and verdicts (pure)      peers.py    runs the peers
    parse.py     what the peers print (pure)              space.py    namespaces, processes, waiting for listeners
    table.py     the text (pure)
"""
