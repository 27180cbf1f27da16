-- Sets the names of the variable zones in lower case, in the same order; a map instead of two lists took most of a second.
set variable lower_zones = list_transform(getvariable('zones'), lambda name: lower(name))
