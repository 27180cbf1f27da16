-- Reasons of list rows in the words of a language model, each checked against what it cites.
--
-- grain:   one row per reason and generator
create table features.reason_texts (
    template varchar not null,
    text varchar,
    generator varchar not null,
    worded_at timestamp not null
);
comment on table features.reason_texts is 'Reasons in the words of a language model; empty unless a setting asks for them';
comment on column features.reason_texts.template is 'The reason as the template words it';
comment on column features.reason_texts.text is 'The text that takes its place; null if the check refused the text of the model';
comment on column features.reason_texts.generator is 'The language model';
comment on column features.reason_texts.worded_at is 'When the text was written, UTC';
