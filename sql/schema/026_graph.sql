-- The interest graph: users, items, categories and tags as nodes, and what connects them as edges, in both directions.
--
-- grain:   one row per node; one row per source, relation and target
-- reads:   graph.edges
create table graph.nodes (
    node varchar not null,
    kind varchar not null,
    id varchar not null,
    name varchar not null,
    weight double not null,
    degree bigint not null,
    model_version varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table graph.nodes is 'Users, items, categories, tags and interests: the nodes of the interest graph';
comment on column graph.nodes.node is 'Kind and id, such as user:42 or category:Kitchen > Pans; edges name their ends like this';
comment on column graph.nodes.kind is 'user, item, category, tag or interest';
comment on column graph.nodes.id is 'The id within its kind: user_id, item_id, path of the category, the tag, interest_id';
comment on column graph.nodes.name is 'Title of an item, last step of a category, name of an interest; the id where there is none';
comment on column graph.nodes.weight is
'Sum of the behaviour weights of a user, of an item, or of the items of a category or tag, relative to 2026-01-01 like graph.edges.weight; '
'sum of the probabilities of an interest';
comment on column graph.nodes.degree is
'Number of items of a user, category or tag, or of users of an item or interest. Edges are fewer: only the strongest of a node are kept';
comment on column graph.nodes.model_version is 'Version of the registered model minutehand that was published together with this row';
comment on column graph.nodes.data_snapshot is 'The lake snapshot that was read';
comment on column graph.nodes.generated_at is 'Time of the publish that built this row, UTC';

create table graph.edges (
    source varchar not null,
    target varchar not null,
    relation varchar not null,
    weight double not null,
    share double not null,
    half_life_days double,
    model_version varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table graph.edges is
'Edges of the interest graph, each in both directions; the strongest of each node and relation are kept. graph.current_edges decays them';
comment on column graph.edges.source is 'The node at which the edge starts';
comment on column graph.edges.target is 'The node at which it ends';
comment on column graph.edges.relation is
'acted_on (user to item), in_category, has_tag, parent, interested_in, about (item to interest), seen_together; backwards: acted_on_by, '
'has_item, child, interest_of';
comment on column graph.edges.weight is
'Strength. With a half-life, it is relative to 2026-01-01: each event counts its type''s weight x 2^(days since 2026-01-01 / half-life), '
'so that weights of different ages compare';
comment on column graph.edges.share is 'Weight as a share of the kept edges of the same source and relation; time does not change it';
comment on column graph.edges.half_life_days is 'Days after which the weight counts half; null if the weight does not decay';
comment on column graph.edges.model_version is 'Version of the registered model minutehand that was published together with this row';
comment on column graph.edges.data_snapshot is 'The lake snapshot that was read';
comment on column graph.edges.generated_at is 'Time of the publish that built this row, UTC';

create view graph.current_edges as
select
    source,
    target,
    relation,
    case
        when half_life_days is null or weight = 0 then weight
        else pow(2, log2(nullif(weight, 0)) - (epoch(now()) - epoch(timestamp '2026-01-01')) / 86400 / half_life_days)
    end as weight,
    share,
    model_version,
    data_snapshot,
    generated_at
from graph.edges;
comment on view graph.current_edges is
'The edges with their weight of now: a weight with a half-life says how many events of weight 1 that happen now it is worth';
