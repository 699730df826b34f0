"""What a change does to every model in every environment: what it means, then objects, then text.

`build` makes a `Plan` of two analysed fleets; each format of it has a file with a `render`.
"""
