-- Sets the names of the variable zones in lower case, in the same order: as a map they took most of a second.
set variable lower_zones = list_transform(getvariable('zones'), lambda name: lower(name))
