"""The words of the service's own pages in Chinese and English. Other parts bring theirs (grader.service.rooms)."""

from __future__ import annotations

# key: (English, Chinese)
WORDS: dict[str, tuple[str, str]] = {
    "service": ("grader", "grader 阅卷"),
    "exams": ("Exams", "考试"),
    "accounts": ("Accounts", "账号"),
    "audit": ("Audit log", "审计日志"),
    "my_account": ("My account", "我的账号"),
    "sign_in": ("Sign in", "登录"),
    "login": ("Login", "用户名"),
    "password": ("Password", "密码"),
    "wrong_login": ("The login or the password is wrong.", "用户名或密码错误。"),
    "no_exams": ("There is no exam for you yet.", "您还没有考试。"),
    "kind_exam": ("exam", "考试"),
    "kind_homework": ("homework", "作业"),
    "sign_out": ("Sign out", "退出"),
    "denied_title": ("Please sign in", "请先登录"),
    "forbidden": ("You may not do this", "没有权限"),
    "forbidden_note": (
        "Your role does not include it. Ask whoever leads the exam, or an administrator.",
        "您的角色不包含此操作。请联系考试负责人或管理员。",
    ),
    "too_many": ("Too many attempts", "尝试次数过多"),
    "too_many_note": ("Wait a quarter of an hour, then try again.", "请等待一刻钟后再试。"),
    "too_large": ("That is too large", "内容过大"),
    "too_large_note": ("Send fewer or smaller files at once.", "请减少一次发送的文件数量或大小。"),
    "unusable": ("This cannot be used", "无法使用"),
}  # fmt: skip
