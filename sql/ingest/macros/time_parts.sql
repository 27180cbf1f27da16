-- The parts of a written time, missing parts as empty text; null if the text is no time. A zone may stand in [] (RFC 9557).
create or replace temp macro time_parts(text) as case
    when length(text) < 100 then nullif(
        regexp_extract(
            text,
            '(?i)^(?:[a-z]{2,9}\.?,?\s+)?'
            || '(\d{4}-\d{1,2}-\d{1,2}|\d{4}/\d{1,2}/\d{1,2}|\d{4}年\d{1,2}月\d{1,2}日|\d{4}-?W\d\d-?\d|\d{4}-\d{3}|\d{7,8}'
            || '|\d{1,2}[./-]\d{1,2}[./-]\d{4}'
            || '|\d{1,2}[ /-][a-z]{3,9}\.?,?[ /-]\d{4}|[a-z]{3,9}\.? \d{1,2},? \d{4})'
            || '(?:(?:T|,?\s+(?:at\s+)?|:)(\d{1,2})(?::?(\d\d)(?::?(\d\d)(?:[.,](\d+))?)?)?\s*([ap]\.?m\.?)?)?'
            || '\s*\[?((?:utc|gmt)?[+−-]\d\d?:?(?:\d\d)?|[a-z][a-z_]+(?:/[a-z_+-]+)*|z)?\]?'
            || '(?:\s*[\[(][^\])]*[\])])*$',
            ['date', 'hour', 'minute', 'second', 'fraction', 'half', 'zone']
        ),
        struct_pack(date := '', hour := '', minute := '', second := '', fraction := '', half := '', zone := '')
    )
end
