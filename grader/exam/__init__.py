"""What is being marked: the exam, its items and rubrics, and the form it is printed on."""
