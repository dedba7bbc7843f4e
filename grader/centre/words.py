"""The words of the markers' desk in Chinese and English; the desk's own words serve here too."""

from __future__ import annotations

# key: (English, Chinese)
WORDS: dict[str, tuple[str, str]] = {
    "rooms": ("Parts of the exam", "考试各部分"),
    "room_mark": ("Marking", "评卷"),
    "room_leader": ("Leader", "组长"),
    "room_release": ("Release", "发布"),
    "room_appeals": ("Appeals", "复核申请"),
    "room_mark_note": ("Mark the answers that wait, one at a time.", "逐份评阅待评作答。"),
    "room_leader_note": (
        "Settings of each item, control answers, what was raised, markers and the rubric.",
        "各题设置、质控样卷、提交与仲裁、评卷人统计、评分标准。",
    ),
    "room_release_note": ("Check what is missing, and publish the marks.", "检查发布条件并发布成绩。"),
    "room_appeals_note": ("Have a mark looked at again by somebody else.", "由他人复核有异议的分数。"),
    "not_saved_there": (
        "Not saved: the service does not answer. What you typed is kept in this browser.",
        "未保存：服务没有响应。已输入的内容保留在此浏览器中。",
    ),
    "marking_blind": (
        "Answers come one at a time across all candidates, without names. Nobody sees another marker's mark.",
        "逐份评阅全体考生的作答，不显示考生信息；评卷人互不可见对方给分。",
    ),
    "nothing_waits": ("Nothing waits for you.", "没有待您评阅的作答。"),
    "nothing_in": (
        "No answers were brought into marking yet. The leader does that.", "尚无作答进入评卷，由组长操作。"
    ),
    "where_you_are": ("Where you are", "当前阶段"),
    "you_marked": ("Marked by you", "已评"),
    "see_why": ("see why", "查看原因"),
    "phase_practice": ("practice", "试评"),
    "phase_qualification": ("qualification", "资格考核"),
    "phase_live": ("marking", "正式评卷"),
    "phase_failed": ("not qualified", "未通过资格考核"),
    "phase_stopped": ("stopped", "已暂停"),
    "trial_practice": ("Practice", "试评"),
    "trial_qualification": ("Qualification", "资格考核"),
    "blind_note": ("You mark this answer without a proposal.", "本份作答不显示建议分。"),
    "alike_n": ("{count} answers read alike", "{count} 份作答相同或相近"),
    "split": ("Make those taken out a group of their own", "将排除的作答另成一组"),
    "split_done": ("{count} answers are a group of their own now.", "已将 {count} 份作答另成一组。"),
    "split_some": ("Take some out, and leave some.", "请勾选部分作答，并保留其余。"),
    "groups_short": ("groups", "分组"),
    "all_groups": ("All groups", "全部分组"),
    "groups_note": (
        "Answers that read the same stand together in the queue and can be marked together.",
        "相同作答在队列中相邻，可一起评分。",
    ),
    "no_groups": ("No two answers that wait read the same.", "没有相同的待评作答。"),
    "near_title": ("Nearly the same", "相近作答"),
    "near_note": (
        "Different by a few characters, with the same numbers and the same yes or no. Make one group of those that "
        "deserve the same mark.",
        "仅差少量字符，且数字与肯定否定一致。应得同分的，可合并为一组。",
    ),
    "no_near": ("No groups are nearly the same.", "没有相近的分组。"),
    "merge": ("Make one group of them", "合并为一组"),
    "merged": ("{count} groups are one now.", "已合并 {count} 组。"),
    "merge_two": ("Choose two or more groups.", "请至少选择两组。"),
    "sure_how": (
        "A random sample of {sample} is drawn from the proposals with a confidence of {least} or more. You confirm or "
        "correct each. If at most {disagree} of them lie more than {tolerance} from yours, the rest is accepted in "
        "your name.",
        "从置信度不低于 {least} 的建议分中随机抽取 {sample} 份，由您逐份确认或改正。与您的给分相差超过 "
        "{tolerance} 的不多于 {disagree} 时，其余以您的名义采纳。",
    ),
    "draw_sample": ("Draw the sample", "抽取样本"),
    "sure_blind": (
        "Markers of this item are blind to the model, so nothing can be accepted in bulk.",
        "本题评卷人不可见建议分，不能批量采纳。",
    ),
    "nothing_sure": ("No proposal waits that the model is this sure of.", "没有达到该置信度的待采纳建议分。"),
    "sample_of": ("random sample of {count}", "随机样本 {count} 份"),
    "sample_note": (
        "Confirm or correct each mark. The marks of the sample are saved in any case.",
        "请逐份确认或改正。样本的给分均会保存。",
    ),
    "sample_used": ("This sample was used.", "该样本已使用。"),
    "sample_accept": ("Save these, accept the other {count}", "保存样本，采纳其余 {count} 份"),
    "sample_differs": (
        "Your marks for the sample are saved. Too many differ from the model's: the rest is not accepted.",
        "样本给分已保存。与建议分差异过多，其余未采纳。",
    ),
    "bad_mark_step": (
        "A mark is a number from 0 to {max} in steps of {step}.", "分数须为 0 至 {max}、以 {step} 为单位。"
    ),
    "marker_model": ("Model", "模型"),
    "you_gave": ("You gave", "您的给分"),
    "definitive": ("Definitive mark", "标准分"),
    "practice_exact": ("Exactly the definitive mark.", "与标准分一致。"),
    "practice_within": ("Within the tolerance of {tolerance}.", "在允许误差 {tolerance} 之内。"),
    "practice_off": (
        "Beyond the tolerance of {tolerance}: read the rubric again before you go on.",
        "超出允许误差 {tolerance}：请重新阅读评分标准后继续。",
    ),
    "skipped": ("Left for later.", "已留待稍后。"),
    "raised_on": ("Raised to the leader.", "已提交组长。"),
    "taken": (
        "That answer is not on your desk any more: it was saved, or your time for it ran out.",
        "该作答已不在您的评卷台：已保存或已超时。",
    ),
    "bad_mark_or_reason": (
        "A mark is a number from 0 to {max} in steps of {step}; whoever raises an answer says why in the comment.",
        "分数须为 0 至 {max}、以 {step} 为单位；提交组长须在评语中写明理由。",
    ),
    "idle_busy": ("Others have the rest on their desks", "其余作答正由他人评阅"),
    "idle_busy_note": (
        "Come back in some minutes: what they leave comes back into the queue.",
        "请稍后再来：他人放弃的作答会回到队列。"
    ),
    "idle_too_few_seeds": ("The leader has not prepared enough answers", "组长尚未备足样卷"),
    "idle_too_few_seeds_note": (
        "Practice and qualification need answers with a definitive mark. Tell the leader.",
        "试评和资格考核需要已定标准分的样卷，请联系组长。",
    ),
    "idle_failed": ("You have not qualified for this item", "您未通过本题资格考核"),
    "idle_failed_note": (
        "Too few of your marks lay within the tolerance of the definitive ones. The leader can let you try again.",
        "与标准分相符的比例不足。组长可允许您重新考核。",
    ),
    "idle_stopped": ("Your marking of this item is paused", "您对本题的评卷已暂停"),
    "idle_stopped_note": (
        "Your marks for control answers moved away from the definitive ones. Talk with the leader, who can let you "
        "go on. Every mark that you saved is kept.",
        "您对质控样卷的给分偏离标准分。请与组长沟通，由组长恢复。已保存的分数均予保留。",
    ),
    "seed_tally": (
        "Of your last {of} control answers {within} lay within the tolerance; at least {limit} are needed.",
        "最近 {of} 份质控样卷中有 {within} 份在允许误差内；要求不低于 {limit}。",
    ),
}  # fmt: skip
