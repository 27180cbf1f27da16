-- Experiments: some users get the lists of a challenger, the others those of the live model.
--
-- grain:   one row per experiment
create table ops.experiments (
    experiment_id varchar not null,
    name varchar not null,
    state varchar not null,
    metric varchar not null,
    share double not null,
    guard_rails varchar not null,
    control_version varchar not null,
    control_settings varchar not null,
    challenger_version varchar not null,
    challenger_settings varchar not null,
    arm_version varchar not null,
    arm_run_id varchar not null,
    learnt bigint not null,
    checkpoint varchar,
    checkpoint_sha256 varchar,
    next_version varchar,
    next_run_id varchar,
    next_learnt bigint,
    frozen varchar,
    verdict varchar,
    started_at timestamp not null,
    stopped_at timestamp
);
comment on table ops.experiments is
'Experiments: a share of the users gets lists of a challenger. A keyed hash says who, so no row names a user';
comment on column ops.experiments.experiment_id is 'Id of the experiment; the keyed hash depends on it';
comment on column ops.experiments.name is 'Name of the experiment';
comment on column ops.experiments.state is
'starting and stopping: the next publication changes the lists of the challenger''s users; running; stopped';
comment on column ops.experiments.metric is 'ctr, conversion, value or satisfaction: what decides';
comment on column ops.experiments.share is 'Share of users in the challenger''s arm';
comment on column ops.experiments.guard_rails is 'JSON: the largest relative loss by metric that does not stop the experiment';
comment on column ops.experiments.control_version is 'Live version at the start; the control follows the live version';
comment on column ops.experiments.control_settings is 'Settings of the night behind it, as JSON; {} if they were not recorded';
comment on column ops.experiments.challenger_version is 'Version that the experiment was started with';
comment on column ops.experiments.challenger_settings is 'Settings of the night behind it, as JSON; {} if they were not recorded';
comment on column ops.experiments.arm_version is
'Version that makes the lists of the challenger''s arm: the challenger, or one that learnt after it';
comment on column ops.experiments.arm_run_id is 'The MLflow run of that version';
comment on column ops.experiments.learnt is 'Lake snapshot: that version has learnt the events up to it';
comment on column ops.experiments.checkpoint is 'Folder of that version on the machine that published it; null if unknown';
comment on column ops.experiments.checkpoint_sha256 is 'SHA-256 over the names and contents of its files; null if unknown';
comment on column ops.experiments.next_version is
'Version that a night has trained with the settings of the challenger; the next publication makes its lists. Null if there is none';
comment on column ops.experiments.next_run_id is 'The MLflow run of that version';
comment on column ops.experiments.next_learnt is 'Lake snapshot: that version has learnt the events up to it';
comment on column ops.experiments.frozen is 'Why the challenger did not learn in the last publication; null if it did';
comment on column ops.experiments.verdict is 'What the experiment has shown, in words, when it was stopped; null before';
comment on column ops.experiments.started_at is 'Time of the start, UTC';
comment on column ops.experiments.stopped_at is 'Time of the publication that gave everybody the lists of the control, UTC; null before';

alter table ops.served add column experiment_id varchar;
alter table ops.served add column arm varchar;
comment on column ops.served.experiment_id is 'The experiment that was running; null without one';
comment on column ops.served.arm is
'control or challenger: whose list it is; null without an experiment, and for people about whom nothing is known';
