-- A decimal as text; whole numbers lose their '.00'.
create or replace temp macro plain_decimal(text) as regexp_replace(text, '\.0+$', '')
