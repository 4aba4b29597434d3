"""Every scenario, one file a cause. What a scenario has to offer stands in `estab.lab.parts.scenario`."""
