"""estab against its peers, as ratios of runs that took turns: `python -m benchmarks`, from the repository's root.

What lives here: the cases, the running of both programs, the ratios. Never a timed assertion: a figure is printed
beside its target and whether it was met; the exit code tells only whether it could be measured.

    __main__.py  arguments, the turns, the table          measure.py  one measurement, in a namespace of its own
    cases.py     what is measured against what            matrix.py   the same by connections and sizes
    ratios.py    pairs to ratios and verdicts (pure)      own.py      runs estab
    parse.py     what the peers print (pure)              peers.py    runs neper and the Go programs
    table.py     the text (pure)                          classics.py runs netperf, sockperf and tcpkali
    growth.py    costs as connections become more         space.py    namespaces, processes, waiting for listeners
    stalls.py    open and closed loop beside arithmetic   profile.py  where the time goes, by perf
    sockets.py   many sockets: census, steady watch       timing.py   how long something takes
    docs.py      `python -m benchmarks.docs` measures and writes docs/speed.md: pages.py (tables, pure), plots.py (SVG)
"""
