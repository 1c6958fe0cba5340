# HTTP/2: two requests on one connection; the gateway dies.  When is the client told that its stream has ended?
import sys, socket, ssl, select, signal
from lab import *
import h2.connection, h2.config, h2.events
from urllib.parse import urlsplit
def run(lab, other, how):
    st=lab.stack; s=lab.session('native','plain','node'); 
    ctx=ssl.create_default_context(cafile=st.ca_file); ctx.set_alpn_protocols(['h2'])
    k=ctx.wrap_socket(socket.create_connection(('127.0.0.1',urlsplit(st.base_url).port)),server_hostname='localhost')
    c=h2.connection.H2Connection(h2.config.H2Configuration(client_side=True)); c.initiate_connection(); k.sendall(c.data_to_send())
    def req(path):
        i=c.get_next_available_stream_id(); c.send_headers(i,[(':method','GET'),(':path',path),(':scheme','https'),(':authority','localhost'),('authorization','Bearer '+s.token)],end_stream=True); k.sendall(c.data_to_send()); return i
    a=req(s.path); b=req(other) if other else None
    t0=None; t=time.time()
    while time.time()-t<32:
        if t0 is None and time.time()-t>1.5:
            t0=time.time(); how(lab,s)
        if select.select([k],[],[],.1)[0] or k.pending():
            d=k.recv(65536)
            if not d: return 'connection closed after %.1f s'%(time.time()-t0)
            for e in c.receive_data(d):
                n=type(e).__name__
                if t0 and n in('StreamReset','StreamEnded') and e.stream_id==a: k.close(); return '%s after %.2f s'%(n,time.time()-t0)
            k.sendall(c.data_to_send())
    k.close(); return 'nothing within 30 s'
with Lab('e15') as lab:
    lab.app.answers['/never']=None
    cut=lambda lab,s: lab.rec.cut(s.path)
    print(os.popen('nginx -v 2>&1').read().strip())
    print('cut, alone on the connection:',run(lab,None,cut))
    print('cut, beside a request that the application does not answer:',run(lab,'/never',cut))
    print('cut, beside the spools stream (heartbeat every 15 s):',run(lab,'/api/sse/stream',cut))
    print('gateway SIGKILL, beside a request of the application:',run(lab,'/never',lambda lab,s: os.kill(lab.stack.gateway_pid,signal.SIGKILL)))
