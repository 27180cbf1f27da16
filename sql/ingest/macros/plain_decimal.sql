-- A decimal as text, whole numbers without their '.00'.
create or replace temp macro plain_decimal(text) as regexp_replace(text, '\.0+$', '')
