"""The real tools that judge what mrc renders.

One tool a module. A judge returns its problems as a list of sentences; an empty list means that the tool
is content, so a test says `assert promtool.check_rules(paths) == []` and shows everything at once. A tool
that is not installed is an error that says what to run, never a silent pass and never a skip.
"""
