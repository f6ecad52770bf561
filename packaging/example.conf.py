# Copy to /etc/indrik/NAME.conf.py, and: systemctl enable --now indrik@NAME
# man indrik.conf.py has every setting.

chdir = "/srv/NAME/current"
wsgi_app = "app:app"
bind = "127.0.0.1:8000"
workers = "auto"

accesslog = "/var/log/indrik/NAME/access.log"
errorlog = "-"  # the journal
