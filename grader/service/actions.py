"""What the audit log's actions mean, in Chinese and English. The codes stand in the log; these are for reading it."""

from __future__ import annotations

from grader.report.words import Language

ACTIONS: dict[str, tuple[str, str]] = {
    "set_up": ("set the service up", "完成初始设置"),
    "sign_in": ("signed in", "登录"),
    "sign_in_failed": ("a sign-in failed", "登录失败"),
    "sign_out": ("signed out", "退出"),
    "sign_out_everywhere": ("signed out everywhere", "退出所有设备"),
    "password_set": ("set the password by a link", "通过链接设置密码"),
    "password_changed": ("changed the password", "修改密码"),
    "account_made": ("invited somebody", "邀请人员"),
    "account_closed": ("closed an account", "停用账号"),
    "account_opened": ("opened an account again", "重新启用账号"),
    "link_made": ("made a new link", "生成新链接"),
    "role_changed": ("changed a role", "更改角色"),
    "member_added": ("added a member", "添加成员"),
    "member_removed": ("removed a member", "移除成员"),
    "exam_made": ("made an exam", "创建考试"),
    "run_attached": ("took a run in", "关联批次"),
    "exam_exported": ("exported the exam", "导出考试数据"),
    "exam_cleared": ("deleted pictures and names", "删除图片与姓名"),
    "exam_deleted": ("deleted the exam", "删除考试"),
    "candidate_forgotten": ("forgot a candidate", "删除考生信息"),
    "keep_until": ("set the date of deletion", "设置到期删除日期"),
    "names_given": ("gave names", "录入姓名"),
    "saw_names": ("saw names", "查看姓名"),
    "saw_crops": ("saw answers", "查看作答图片"),
    "saw_scans": ("saw scans", "查看扫描件"),
    "audit_exported": ("exported the log", "导出日志"),
    "brought_in": ("brought answers into marking", "导入作答"),
    "item_settings": ("changed an item's settings", "更改题目设置"),
    "lifted": ("let a marker go on", "恢复评卷员"),
    "rubric_changed": ("changed the rubric", "修改评分标准"),
    "release_gate": ("changed the release gate", "更改发布条件"),
    "released": ("released marks", "发布成绩"),
    "exported_release": ("exported a release", "导出发布成绩"),
    "exported_changes": ("exported a release's changes", "导出成绩变更"),
    "appeal_opened": ("opened an appeal", "提交复核申请"),
    "appeal_marked": ("marked an appeal", "完成复核"),
    "appeal_withdrawn": ("withdrew an appeal", "撤回复核申请"),
    "homework_made": ("made homework", "布置作业"),
    "homework_changed": ("changed homework", "修改作业"),
    "homework_paper": ("printed sheets", "打印答题纸"),
    "class_list": ("gave a class list", "录入班级名单"),
    "upload_link": ("made a link for photos", "生成上传链接"),
    "uploaded": ("uploaded pages", "上传页面"),
    "page_claimed": ("said whose a page is", "认领页面"),
    "marked": ("marked", "评分"),
    "exported": ("exported marks", "导出成绩"),
}  # fmt: skip


def told(action: str, language: Language) -> str:
    """What an action is called; its code where it has no words."""
    pair = ACTIONS.get(action)
    return action if pair is None else pair[0 if language == "en" else 1]
