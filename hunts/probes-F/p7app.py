from lab import *
import threading
class App(threading.Thread):
    def __init__(s,path,delay=0):
        super().__init__(daemon=True); s.got=[]; s.delay=delay
        try: os.unlink(path)
        except OSError: pass
        s.s=socket.socket(socket.AF_UNIX) if path.startswith("/") else None; s.s.bind(path); os.chmod(path,0o777); s.s.listen(9); s.start()
    def run(s):
        while True:
            try: c,_=s.s.accept()
            except OSError: return
            threading.Thread(target=s.one,args=(c,),daemon=True).start()
    def one(s,c):
        b=b""
        while b"\r\n\r\n" not in b:
            d=c.recv(4096)
            if not d: return
            b+=d
        s.got.append(b.decode()); time.sleep(s.delay); body=b'{"status":"x"}'
        try: c.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"%len(body)+body)
        except OSError: pass
        c.close()
