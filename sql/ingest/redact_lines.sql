-- Replaces the texts of lines that name erased people by the digest of the person.
--
-- reads:   named (registered: line, file_no, digest)
-- writes:  malformed
update malformed
set
    row_json = json_object('erased', named.digest),
    offending = null
from named
where malformed.line = named.line
    and malformed.file_no = named.file_no
