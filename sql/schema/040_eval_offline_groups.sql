-- eval.offline also has measures of whole lists, and groups of users and items.
comment on column eval.offline.segment is
'all; warm/cold user x warm/cold item; or a group: activity=, account_age=, attribute NAME= (of users), popularity=, interest= (of items)';
comment on column eval.offline.metric is
'ndcg_at_10_served, ndcg_at_10, hr_at_10, mrr: of events; _lift: gain; coverage_at_10, gini_at_10, exposure: of items; others: of lists';
comment on column eval.offline.n_events is 'Held-out events in the segment; number of lists for measures of whole lists, one per user';
