from django.shortcuts import redirect, render


def index(request):
    if request.method == "POST":
        request.session["name"] = request.POST["name"][:50]
        return redirect("/")
    return render(request, "index.html", {"name": request.session.get("name", "World")})
