# nginx with a configuration and folders of its own.
set -eu
mkdir -p "$DATA/nginx"
cat >"$DATA/nginx/nginx.conf" <<CONF
daemon off;
pid $DATA/nginx/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path $DATA/nginx/body;
  proxy_temp_path $DATA/nginx/proxy;
  fastcgi_temp_path $DATA/nginx/fastcgi;
  uwsgi_temp_path $DATA/nginx/uwsgi;
  scgi_temp_path $DATA/nginx/scgi;
  server {
    listen 127.0.0.1:$HTTP_PORT;
    location / {
      proxy_pass http://127.0.0.1:$APP_PORT;
    }
    location = /nginx {
      return 200 "nginx is here\n";
    }
  }
}
CONF
exec nginx -e stderr -p "$DATA/nginx" -c "$DATA/nginx/nginx.conf"
