# names, values and spellings in the query and in the header
from lab import *
import urllib.parse, subprocess
from support.publishers import Builder, Blog, Spools
with Lab('e1') as lab:
    st=lab.stack; r=st.redis
    def curl(path,*headers,t=2.5,http='--http1.1',data=None):
        cmd=['curl','-sN','-k',http,'-m',str(t),'-w','\n#%{http_code}']
        for h in headers: cmd+=['-H',h]
        out=subprocess.run(cmd+[st.base_url+path],capture_output=True,text=True).stdout
        body,_,code=out.rpartition('\n#'); return code,body
    alice=f"Authorization: Bearer {st.token()}"
    j='done1'; w=Builder(r,j).create('queued'); ids=w.log_many(5); 
    time.sleep(.1); w.write_status('ready'); 
    blog=Blog(r,'b1','alice').create('succeeded')
    bt=f"Authorization: Bearer {st.token('blog')}"
    print(ids)
    R1=f'/api/jobs/{j}/events/stream'; R2=f'/api/jobs/{j}/stream'; R3=f'/api/jobs/{j}/logs/stream'; R6='/api/v1/jobs/b1/stream'
    def show(label,code,body):
        ev=[l for l in body.split('\n') if l.startswith(('id:','event: gap'))]
        print(f'{label:75} {code} {ev[:6]} {body[-120:] if code in ("422","400") else ""}')
    for name,p,a in (('R1',R1,alice),('R2',R2,alice),('R3',R3,alice),('R6',R6,bt)):
        for q in ('lastEventId=end','last_event_id=0-0&lastEventId=end','lastEventId=end&last_event_id=5-1','last_event_id=%s&lastEventId=end'%ids[4],
                  'q=100%&lastEventId=end','lastEventId=end%20','lastEventId=+end','lastEventId=END','lasteventid=end','lastEventID=end','LastEventId=end','last-event-id=end',
                  'lastEventId=','lastEventId','lastEventId=end.'+ids[4],'lastEventId=end.'+ids[0],'lastEventId=end&lastEventId=','lastEventId=%65nd','Last%2DEvent%2DID=end','lastEventId=end;','lastEventId=end%00','lastEventId=%22end%22'):
            show(f'{name} ?{q}',*curl(p+'?'+q,a))
        for h in ('Last-Event-ID: end','Last-Event-ID:   end  ','Last-Event-ID:\tend\t','Last-Event-ID: 5-1, end','Last-Event-ID: end, end','Last-Event-ID: "end"','Last-Event-ID: END'):
            show(f'{name} {h!r}',*curl(p,a,h))
            if 'end  ' in h or '\t' in h: show(f'{name} h2 {h!r}',*curl(p,a,h,http='--http2'))
        show(f'{name} two headers 5-1 / end',*curl(p,a,'Last-Event-ID: 5-1','Last-Event-ID: end'))
        show(f'{name} two headers empty / end',*curl(p,a,'Last-Event-ID;','Last-Event-ID: end'))
        show(f'{name} two headers nonsense / end',*curl(p,a,'Last-Event-ID: x','Last-Event-ID: end'))
    j='run1'; w=Builder(r,j).create('queued'); ids=w.log_many(5); R3=f'/api/jobs/{j}/logs/stream'
    print('--- running job', ids)
    for h in (f'Last-Event-ID: {ids[0]}, {ids[2]}',f'Last-Event-ID: {ids[2]}, {ids[0]}',f'Last-Event-ID: {ids[2]},',f'Last-Event-ID:  {ids[2]} ',f'Last-Event-ID: {ids[2]}\t',f'Last-Event-ID: "{ids[2]}"',f'Last-Event-ID: {ids[2].replace("-","%2D")}'):
        show(f'R3 {h!r}',*curl(R3,alice,h)); show(f'R3 h2 {h!r}',*curl(R3,alice,h,http='--http2'))
    show('two lines old,new',*curl(R3,alice,f'Last-Event-ID: {ids[0]}',f'Last-Event-ID: {ids[2]}'))
    show('two lines empty,new',*curl(R3,alice,'Last-Event-ID;',f'Last-Event-ID: {ids[2]}'))
    show('two lines bad,new',*curl(R3,alice,'Last-Event-ID: undefined',f'Last-Event-ID: {ids[2]}'))
    for q in (f'lastEventId={ids[2]}%20',f'lastEventId={ids[2]}+',f'lastEventId=undefined',f'lastEventId=null',f'lastEventId=&lastEventId={ids[2]}',f'LASTEVENTID={ids[2]}',f'lastEventID={ids[2]}',f'x=1?lastEventId={ids[2]}',f'x=%&lastEventId={ids[2]}'):
        show('R3 ?'+q,*curl(R3+'?'+q,alice))
