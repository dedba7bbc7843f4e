"""Marking by several people and the model: rules as pure functions, and what they decide kept in the database.

Nothing here knows of the web, and nothing that a marker is given holds a candidate's number or name: answers go by
opaque names. `actor` is an account's id everywhere; who may call what is the caller's to check ("mark" for the desk,
"lead" for leading and settings, "release" for releases). Every storage function takes the service's `Database` first
and the exam's id second. Refusals are `grader.marking.errors`: NotFound, Taken, NotAllowed, Destroys.

Rules (no database)
    scheme      single, double, 2+1+1; tolerance, rounding, ties; the model as marker 0: `resolve`
    seeds       practice, qualification, seeds, drift: `phase`, `serves_seed`, `may_lift`
    groups      identical and near-identical answers: `near_identical`, `split`, `merge`
    sampling    a random sample before acceptance in bulk: `draw`, `judge`
    statistics  severity, spread, hedging, self-consistency, agreement: `marker_figures`, `agreement`
    release     gate, canonical rows and hash, difference of releases
    appeals     who may re-mark, what comes of it
    revision    what a change of the exam does, who crosses the pass line, what is refused
    settings    `ItemSettings` of an item as JSON

Storage
    schema      the tables; `mark_event` can only grow
    answers     bring_in(db, exam, run) · item_settings · set_item_settings · current_exam
    serving     next_answer(db, exam, actor, item, besides=(), after="") -> Served | Idle · look · renew · give_back
                · lease_group · lease_these
    saving      save(db, exam, actor, name, token, mark, criteria, comment, seconds) -> Saved · save_group · undo
                · raise_to_leader · comment
    trials      phase_of · lift · make_seed · drop_seed · practice and qualification of a marker
    leading     leader_queue · case · adjudicate · hand_back · excuse · progress
    settling    from the events of an answer to its state
    grouping    groups_of · members · propose_near · split · merge · take_out
    bulk        draw_sample · serve_sample · sample_state · accept
    figures     marker_rows · figures · agreements, for the leader's page
    outbox      write_finals(db, exam, run): final marks into the run store, once each, safe to kill
    releasing   set_gate · gate · publish · releases · rows · difference · unreleased
    appealing   open_appeal · take · re_mark · hand_back · withdraw · appeals_of · trail
    revising    preview · apply · versions

The path of an answer: `bring_in` → `next_answer` leases it → `save` appends a mark and settles what follows →
`write_finals` → `publish`.
"""
