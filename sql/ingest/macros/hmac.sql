-- The first 32 hexadecimal digits of an HMAC-SHA256. outer_key, inner_key: the key, xored with each pad of an HMAC, as hexadecimal digits.
create or replace temp macro hmac(outer_key, inner_key, text) as
    left(sha256(from_hex(outer_key) || from_hex(sha256(from_hex(inner_key) || encode(text)))), 32)
