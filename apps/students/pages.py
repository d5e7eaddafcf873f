"""The pages of the register: everybody may read it, whoever is logged in may change it."""

from __future__ import annotations

import logging

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from apps.students import csrf
from apps.students.auth import login_required
from apps.students.database import Student, db
from apps.students.forms import StudentForm
from apps.students.urls import shown

blueprint = Blueprint("students", __name__)
blueprint.before_request(csrf.check)
blueprint.add_app_template_filter(shown, "number")
logger = logging.getLogger(__name__)

LAST_PAGE = 100_000  # a bound, so that no number is too large for the database


@blueprint.get("/")
def index() -> ResponseReturnValue:
    words = request.args.get("q", "").replace("\0", "").strip()  # PostgreSQL refuses a NUL
    page = request.args.get("page", 1, type=int)
    if not 1 <= page <= LAST_PAGE:
        abort(404)
    found = select(Student).order_by(Student.name, Student.id)
    # Each word has to be in the name or in the address.
    for word in words.split()[:10]:
        found = found.where(or_(*(column.icontains(word, autoescape=True) for column in (Student.name, Student.email))))
    students = db.paginate(found, page=page, per_page=current_app.config["PAGE_SIZE"])
    return render_template("students/index.html", students=students, q=words)


@blueprint.get("/new")
@login_required
def new() -> ResponseReturnValue:
    return render_template("students/edit.html", form=StudentForm(), student=None)


@blueprint.post("/new")
@login_required
def create() -> ResponseReturnValue:
    return _save(Student(), "created")


@blueprint.get("/<student:number>")
def show(number: int) -> ResponseReturnValue:
    return render_template("students/show.html", student=db.get_or_404(Student, number))


@blueprint.get("/<student:number>/edit")
@login_required
def edit(number: int) -> ResponseReturnValue:
    student = db.get_or_404(Student, number)
    form = StudentForm(student.name, student.email, student.enrolled.isoformat())
    return render_template("students/edit.html", form=form, student=student)


@blueprint.post("/<student:number>/edit")
@login_required
def change(number: int) -> ResponseReturnValue:
    return _save(db.get_or_404(Student, number), "changed")


@blueprint.post("/<student:number>/delete")
@login_required
def delete(number: int) -> ResponseReturnValue:
    student = db.get_or_404(Student, number)
    db.session.delete(student)
    db.session.commit()
    logger.info("student %s deleted", shown(number))
    flash(f"{student.name} is deleted.")
    return redirect(url_for("students.index"))


def _save(student: Student, what: str) -> ResponseReturnValue:
    form = StudentForm.read(request.form)
    if not form.errors:
        for name, value in form.values().items():
            setattr(student, name, value)
        db.session.add(student)
        try:
            db.session.commit()
        except IntegrityError:  # only the database knows for sure, when two people type at once
            db.session.rollback()
            form.errors["email"] = "Another student has this address."
        except StaleDataError:
            abort(404)  # somebody else deleted the student meanwhile
    if form.errors:
        return render_template("students/edit.html", form=form, student=student if student.id else None), 422
    logger.info("student %s %s", shown(student.id), what)
    flash(f"{student.name} is saved.")
    return redirect(url_for("students.show", number=student.id))
